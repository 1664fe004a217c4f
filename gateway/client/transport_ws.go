package client

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// fragmentsMax bounds the frames of one message, so that empty fragments cannot
// go on for ever. Gateways send a message as one frame; proxies may split.
const fragmentsMax = 4096

// wsTransport carries each frame as one WebSocket message.
type wsTransport struct {
	conn      net.Conn
	json      bool          // messages are text, else binary
	frameMax  atomic.Int64  // bytes of a JSON frame that the gateway takes; 0 while unknown
	closeCode atomic.Uint32 // of the CLOSE that was appended

	writing sync.Mutex // the writer's frames, and the reader's answers to control frames

	// owned by the reading goroutine
	in        inbox
	message   []byte // of a message in fragments, what has come
	fragments int    // of it; 0 between messages
	within    time.Duration
}

func dialWebSocket(ctx context.Context, d *dialer, to target) (transport, error) {
	conn, err := d.connect(ctx, to, alpnHTTP)
	if err != nil {
		return nil, err
	}
	t := &wsTransport{conn: conn, json: d.json, in: newInbox(conn), within: d.within}
	subprotocol := subprotocolBinary
	if t.json {
		subprotocol = subprotocolJSON
	}
	rest, err := upgrade(ctx, conn, to.address, subprotocol)
	if err != nil {
		conn.Close()
		return nil, err
	}
	t.in.buf = append(rest, t.in.buf...)
	t.in.end = len(rest)
	return t, nil
}

func (t *wsTransport) welcome(w *wire.Welcome, _ uint64) { t.frameMax.Store(int64(w.MaxFrame)) }

func (t *wsTransport) Append(dst []byte, f *wire.Frame) ([]byte, error) {
	if f.Type == wire.TypeClose {
		t.closeCode.Store(uint32(f.Code))
		if f.Code != wire.CloseNormal && f.Code < 4000 {
			return dst, nil // a fault of the WebSocket layer is told there only
		}
	}
	if !t.json {
		return appendWebSocket(dst, opBinary, func(b []byte) ([]byte, error) { return wire.Append(b, f) })
	}
	return appendWebSocket(dst, opText, func(b []byte) ([]byte, error) {
		return appendJSONWithin(b, f, int(t.frameMax.Load()))
	})
}

func (t *wsTransport) Write(b []byte, timeout time.Duration) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	return writeWithin(t.conn, b, timeout)
}

func (t *wsTransport) Read(silence time.Duration) (wire.Frame, error) {
	for {
		f, err := t.next()
		if !incomplete(err) {
			return f, err
		}
		if err := t.in.fill(silence); err != nil {
			return wire.Frame{}, err
		}
	}
}

// next takes WebSocket frames until one completes a frame of ours.
func (t *wsTransport) next() (wire.Frame, error) {
	for {
		b := t.in.bytes()
		h, err := parseHead(b)
		if err != nil {
			return wire.Frame{}, err
		}
		// Judged from the head, before what it declares has come.
		if err := t.admit(h); err != nil {
			return wire.Frame{}, err
		}
		if len(b) < h.head+h.payload {
			return wire.Frame{}, wire.ErrIncomplete
		}
		t.in.take(h.head + h.payload)
		f, ok, err := t.handle(h, b[h.head:h.head+h.payload])
		if ok || err != nil {
			return f, err
		}
	}
}

// admit judges where a frame may stand, and how long its message becomes.
func (t *wsTransport) admit(h wsHead) error {
	switch {
	case h.op >= opClose:
		return nil
	case h.op == opContinuation && t.fragments == 0:
		return wsFault(wsProtocolError, "a continuation of nothing")
	case h.op != opContinuation && t.fragments > 0:
		return wsFault(wsProtocolError, "a message inside another")
	case h.op == opText && !t.json, h.op == opBinary && t.json:
		return wsFault(wsUnsupported, "a message of the other kind")
	case len(t.message)+h.payload > wire.FrameBytesMax:
		return wsFault(wsTooBig, "a message longer than any frame")
	case t.fragments >= fragmentsMax:
		return wsFault(wsTooBig, "too many fragments")
	}
	return nil
}

// handle takes one whole WebSocket frame; ok when it completed a frame of ours.
func (t *wsTransport) handle(h wsHead, payload []byte) (f wire.Frame, ok bool, err error) {
	switch {
	case h.op == opPing:
		return f, false, t.Write(appendControl(nil, opPong, payload), t.within)
	case h.op == opPong:
		return f, false, nil
	case h.op == opClose:
		code, reason, err := parseClose(payload)
		if err != nil {
			return f, false, err
		}
		// The answer closes the WebSocket. Whether it arrives changes nothing.
		_ = t.Write(appendControl(nil, opClose, payload[:min(len(payload), 2)]), t.within)
		reason = []byte(wire.TrimReason(string(reason))) // a proxy's may be longer than ours
		return wire.Frame{Type: wire.TypeClose, Code: code, Reason: reason}, true, nil
	case h.fin && t.fragments == 0:
		f, err = t.parse(payload)
		return f, true, err
	}
	t.message = append(t.message, payload...)
	t.fragments++
	if !h.fin {
		return f, false, nil
	}
	// The frame aliases the message, which is not touched again.
	whole := t.message
	t.message, t.fragments = nil, 0
	f, err = t.parse(whole)
	return f, true, err
}

func (t *wsTransport) parse(message []byte) (wire.Frame, error) {
	if !t.json {
		return wire.Parse(message, wire.FromGateway)
	}
	if !utf8.Valid(message) {
		return wire.Frame{}, wsFault(wsNotUTF8, "a text that is not UTF-8")
	}
	return wire.ParseJSON(message, wire.FromGateway)
}

// CloseWrite closes the WebSocket, with the code of our CLOSE.
func (t *wsTransport) CloseWrite() error {
	code := wire.CloseCode(t.closeCode.Load())
	if code == 0 {
		code = wire.CloseNormal
	}
	return t.Write(appendControl(nil, opClose, closePayload(code, "")), t.within)
}

func (t *wsTransport) Close() error { return t.conn.Close() }
