package websocket

import (
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
)

// handshake is a right request, with fields changed ("Name: value"), added
// ("+Name: value") or removed ("-Name").
func handshake(changes ...string) *http1.Request {
	h := http.Header{}
	for _, f := range append([]string{
		"Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}, changes...) {
		name, value, _ := strings.Cut(f, ": ")
		switch name[0] {
		case '-':
			h.Del(name[1:])
		case '+':
			h.Add(name[1:], value)
		default:
			h.Set(name, value)
		}
	}
	return &http1.Request{Method: "GET", Path: "/v1/ws", Minor: 1, Host: "gw", Header: h}
}

func TestAccept(t *testing.T) {
	binary := Upgrade{Subprotocol: SubprotocolBinary}
	json := Upgrade{Subprotocol: SubprotocolJSON, JSON: true}
	for _, tt := range []struct {
		name    string
		changes []string
		want    Upgrade
	}{
		{"no subprotocol", nil, Upgrade{JSON: true}},
		{"binary", []string{"Sec-WebSocket-Protocol: holdfast.v1"}, binary},
		{"JSON", []string{"Sec-WebSocket-Protocol: holdfast.v1.json"}, json},
		{"the client's order", []string{"Sec-WebSocket-Protocol: holdfast.v1.json,holdfast.v1"}, json},
		{"the first that is known", []string{"Sec-WebSocket-Protocol: holdfast.v9 ,\t holdfast.v1, holdfast.v1.json"}, binary},
		{"in several fields", []string{"+Sec-WebSocket-Protocol: mqtt", "+Sec-WebSocket-Protocol: holdfast.v1"}, binary},
		{"lists and cases", []string{"Upgrade: h2c , WebSocket", "Connection: keep-alive, UPGRADE"}, Upgrade{JSON: true}},
		{"lists in several fields", []string{"Connection: keep-alive", "+Connection: upgrade"}, Upgrade{JSON: true}},
		{"extensions are ignored", []string{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"}, Upgrade{JSON: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, response, refusal := Accept(handshake(tt.changes...))
			if refusal != nil || u != tt.want {
				t.Fatalf("Accept = %+v, %v, want %+v", u, refusal, tt.want)
			}
			want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" // RFC 6455 section 1.3
			if u.Subprotocol != "" {
				want += "Sec-WebSocket-Protocol: " + u.Subprotocol + "\r\n"
			}
			if want += "\r\n"; string(response) != want {
				t.Errorf("response\n%s\nwant\n%s", response, want)
			}
		})
	}
}

func TestAcceptRefuses(t *testing.T) {
	const version13 = "Sec-WebSocket-Version: 13"
	for _, tt := range []struct {
		name    string
		changes []string
		status  int
		names   string // the field in the message
		field   string // in the answer
	}{
		{"no Upgrade", []string{"-Upgrade"}, 426, "Upgrade", "Upgrade: websocket"},
		{"another Upgrade", []string{"Upgrade: h2c"}, 426, "Upgrade", "Connection: Upgrade"},
		{"half an Upgrade", []string{"Upgrade: web socket"}, 426, "Upgrade", "Upgrade: websocket"},
		{"letters that fold into ASCII", []string{"Upgrade: web\u017focket"}, 426, "Upgrade", "Upgrade: websocket"},
		{"no Connection", []string{"-Connection"}, 400, "Connection", ""},
		{"another Connection", []string{"Connection: keep-alive"}, 400, "Connection", ""},
		{"no version", []string{"-Sec-WebSocket-Version"}, 426, "Sec-WebSocket-Version", version13},
		{"old version", []string{"Sec-WebSocket-Version: 8"}, 426, "Sec-WebSocket-Version", version13},
		{"two versions", []string{"+Sec-WebSocket-Version: 13"}, 426, "Sec-WebSocket-Version", version13},
		{"list of versions", []string{"Sec-WebSocket-Version: 13, 8"}, 426, "Sec-WebSocket-Version", version13},
		{"no key", []string{"-Sec-WebSocket-Key"}, 400, "Sec-WebSocket-Key", ""},
		{"two keys", []string{"+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, 400, "Sec-WebSocket-Key", ""},
		{"key of 15 bytes", []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"}, 400, "Sec-WebSocket-Key", ""},
		{"key of 17 bytes", []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWE="}, 400, "Sec-WebSocket-Key", ""},
		{"key without padding", []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"}, 400, "Sec-WebSocket-Key", ""},
		{"key with bits beyond its bytes", []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR=="}, 400, "Sec-WebSocket-Key", ""},
		{"key that is not base64", []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q=="}, 400, "Sec-WebSocket-Key", ""},
		{"unknown subprotocols", []string{"Sec-WebSocket-Protocol: mqtt, HOLDFAST.V1"}, 400, "holdfast.v1, holdfast.v1.json", "Sec-WebSocket-Protocol: holdfast.v1, holdfast.v1.json"},
		{"no subprotocol in the field", []string{"Sec-WebSocket-Protocol: "}, 400, "holdfast.v1, holdfast.v1.json", ""},
	} {
		t.Run(tt.name, func(t *testing.T) { checkRefusal(t, handshake(tt.changes...), tt.status, tt.names, tt.field) })
	}
}

func checkRefusal(t *testing.T, r *http1.Request, status int, names, field string) {
	t.Helper()
	_, response, refusal := Accept(r)
	if refusal == nil || response != nil || refusal.Status != status || !strings.Contains(refusal.Message, names) {
		t.Fatalf("Accept = %q, %v, want %d that names %s", response, refusal, status, names)
	}
	head := string(http1.AppendResponse(nil, refusal.Status, true, nil, refusal.Fields...))
	if !strings.Contains(head, field+"\r\n") {
		t.Errorf("answer\n%s\nwant %s", head, field)
	}
}

func TestAcceptRefusesRequests(t *testing.T) {
	post := handshake()
	post.Method = "POST"
	checkRefusal(t, post, 400, "method", "")
	old := handshake()
	old.Minor = 0
	checkRefusal(t, old, 400, "version", "")
	body := handshake()
	body.Body = []byte("x")
	checkRefusal(t, body, 400, "body", "")
}
