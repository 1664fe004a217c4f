package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	webSocketPath = "/v1/ws"
	// webSocketHeadBytesMax bounds the answer to the handshake, what explains
	// a refusal included. A gateway's is 200 bytes; proxies add theirs.
	webSocketHeadBytesMax = 16 << 10
	// webSocketGUID is RFC 6455's, section 1.3.
	webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// The subprotocols: how a message holds a frame.
const (
	subprotocolBinary = "holdfast.v1"
	subprotocolJSON   = "holdfast.v1.json"
)

// upgrade makes conn a WebSocket and returns what has been read behind the
// answer. It takes no longer than ctx. Where the other side refuses, the error is
// a *CloseError if a gateway said why, else an *httpError.
func upgrade(ctx context.Context, conn net.Conn, host, subprotocol string) (rest []byte, err error) {
	// Closing is what ends reads and writes on every kind of connection.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		if !stop() {
			err = ctxError(ctx)
		}
	}()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline.Add(time.Second)); err != nil { // ctx's own error comes first
			return nil, err
		}
		defer conn.SetDeadline(time.Time{}) // its error would come again with the first read
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		webSocketPath, host, key, subprotocol)
	if err != nil {
		return nil, err
	}
	return readUpgrade(conn, key, subprotocol)
}

// readUpgrade reads the answer to the handshake.
func readUpgrade(conn net.Conn, key, subprotocol string) (rest []byte, err error) {
	r := bufio.NewReader(io.LimitReader(conn, webSocketHeadBytesMax))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, fmt.Errorf("websocket: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body) // bounded; what is missing is only the explanation
		return nil, (&httpAnswer{status: resp.StatusCode, header: resp.Header, body: body}).refusal()
	}
	sum := sha1.Sum([]byte(key + webSocketGUID))
	switch {
	case !hasToken(resp.Header, "Upgrade", "websocket"), !hasToken(resp.Header, "Connection", "upgrade"):
		return nil, violation("websocket: 101 without Upgrade: websocket")
	case resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return nil, violation("websocket: Sec-WebSocket-Accept is not for our key")
	case resp.Header.Get("Sec-WebSocket-Extensions") != "":
		return nil, violation("websocket: an extension that was not offered")
	case resp.Header.Get("Sec-WebSocket-Protocol") != subprotocol:
		return nil, violation("websocket: subprotocol %.40q, offered %s", resp.Header.Get("Sec-WebSocket-Protocol"), subprotocol)
	}
	rest, err = r.Peek(r.Buffered())
	return bytes.Clone(rest), err
}

// hasToken looks for a word in a header field that is a list.
func hasToken(h http.Header, field, token string) bool {
	for _, value := range h.Values(field) {
		for word := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(word), token) {
				return true
			}
		}
	}
	return false
}
