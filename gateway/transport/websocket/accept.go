package websocket

import (
	"crypto/sha1" // RFC 6455 asks for it, and no secret depends on it
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
)

// The subprotocols of docs/protocol.md section 1.
const (
	SubprotocolBinary = "holdfast.v1"
	SubprotocolJSON   = "holdfast.v1.json"
)

const (
	version  = "13"
	keyBytes = 16
	// keySalt is what RFC 6455 section 1.3 puts behind the key.
	keySalt = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// Upgrade is what a handshake has agreed on.
type Upgrade struct {
	// Subprotocol is as answered, and empty if the client offered none.
	Subprotocol string
	// JSON tells that messages are text, one JSON frame each.
	JSON bool
}

// Refusal is why a request is no handshake that can be accepted. The connection
// can go on with HTTP after it.
type Refusal struct {
	// Status is the answer's: 400 or 426.
	Status int
	// Message names the field that is wrong. It holds nothing that the peer
	// sent.
	Message string
	// Fields belong into the answer: what to do better.
	Fields []http1.Field
}

// Error is the message with the status before it.
func (r *Refusal) Error() string { return fmt.Sprintf("websocket: %d: %s", r.Status, r.Message) }

// Accept judges an opening handshake. response is the whole 101 answer, after
// which both sides speak WebSocket. Path, Host and Origin are not looked at.
func Accept(r *http1.Request) (u Upgrade, response []byte, refusal *Refusal) {
	if refusal := checkUpgrade(r); refusal != nil {
		return Upgrade{}, nil, refusal
	}
	key, refusal := handshakeKey(r.Header)
	if refusal != nil {
		return Upgrade{}, nil, refusal
	}
	if u, refusal = choose(r.Header.Values("Sec-WebSocket-Protocol")); refusal != nil {
		return Upgrade{}, nil, refusal
	}
	response = append(response, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	response = append(response, acceptance(key)...)
	if u.Subprotocol != "" {
		response = append(response, "\r\nSec-WebSocket-Protocol: "...)
		response = append(response, u.Subprotocol...)
	}
	return u, append(response, "\r\n\r\n"...), nil
}

// checkUpgrade judges whether the request asks for WebSocket at all, and for the
// version that we speak.
func checkUpgrade(r *http1.Request) *Refusal {
	switch {
	case r.Method != http.MethodGet:
		return badRequest("method: want GET")
	case r.Minor < 1:
		return badRequest("version: want HTTP/1.1")
	case len(r.Body) > 0:
		return badRequest("body: want none in a handshake")
	case !hasToken(r.Header.Values("Upgrade"), "websocket"):
		return upgradeRequired("Upgrade: want websocket")
	case !hasToken(r.Header.Values("Connection"), "upgrade"):
		return badRequest("Connection: want Upgrade")
	}
	if v := r.Header.Values("Sec-WebSocket-Version"); len(v) != 1 || v[0] != version {
		return upgradeRequired("Sec-WebSocket-Version: want " + version)
	}
	return nil
}

// handshakeKey is the client's nonce, in base64 as it was sent.
func handshakeKey(h http.Header) (string, *Refusal) {
	keys := h.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return "", badRequest("Sec-WebSocket-Key: want exactly one")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(keys[0])
	if err != nil || len(raw) != keyBytes {
		return "", badRequest(fmt.Sprintf("Sec-WebSocket-Key: want %d bytes in base64", keyBytes))
	}
	return keys[0], nil
}

// acceptance proves to the client that the server has understood its key.
func acceptance(key string) string {
	sum := sha1.Sum([]byte(key + keySalt))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// choose takes the first subprotocol that we know, in the client's order.
// Clients that offer none speak JSON: in a browser that is the least code.
func choose(offers []string) (Upgrade, *Refusal) {
	if len(offers) == 0 {
		return Upgrade{JSON: true}, nil
	}
	for _, offer := range offers {
		for name := range strings.SplitSeq(offer, ",") {
			switch trim(name) {
			case SubprotocolBinary:
				return Upgrade{Subprotocol: SubprotocolBinary}, nil
			case SubprotocolJSON:
				return Upgrade{Subprotocol: SubprotocolJSON, JSON: true}, nil
			}
		}
	}
	known := SubprotocolBinary + ", " + SubprotocolJSON
	refusal := badRequest("Sec-WebSocket-Protocol: known are " + known)
	refusal.Fields = []http1.Field{{Name: "Sec-WebSocket-Protocol", Value: known}}
	return Upgrade{}, refusal
}

// hasToken reports whether a list, which may go over several fields, names
// token in any case.
func hasToken(lists []string, token string) bool {
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			name = trim(name)
			// The lengths differ where Unicode folds other letters into ASCII.
			if len(name) == len(token) && strings.EqualFold(name, token) {
				return true
			}
		}
	}
	return false
}

// trim removes the white space that HTTP allows around a list's elements.
func trim(s string) string { return strings.Trim(s, " \t") }

func badRequest(message string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Message: message}
}

// upgradeRequired says which protocol and version would do.
func upgradeRequired(message string) *Refusal {
	return &Refusal{Status: http.StatusUpgradeRequired, Message: message, Fields: []http1.Field{
		{Name: "Upgrade", Value: "websocket"},
		{Name: "Connection", Value: "Upgrade"},
		{Name: "Sec-WebSocket-Version", Value: version},
	}}
}
