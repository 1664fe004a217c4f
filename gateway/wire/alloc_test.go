package wire

import (
	"strings"
	"testing"
)

// hotFrames are the frames that a busy connection carries.
var hotFrames = []struct {
	from  Side
	frame Frame
}{
	{FromClient, req(7, "msg.send", `{"to":"1002","content":"`+strings.Repeat("x", 64)+`"}`)},
	{FromGateway, rep(7, StatusOK, 0, `{"msg_id":"m1","seq":12}`)},
	{FromGateway, rep(7, StatusUnavailable, FlagOriginGateway, `{"message":"m","reason":"r"}`)},
	{FromGateway, psh(9, "msg.new", `{"from":"1001","content":"`+strings.Repeat("x", 64)+`"}`)},
	{FromClient, Frame{Type: TypeAck, Seq: 9}},
	{FromGateway, Frame{Type: TypePing}},
	{FromClient, Frame{Type: TypePong}},
}

// TestHotFramesDoNotAllocate holds the package to what doc.go says of memory.
func TestHotFramesDoNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 1024)
	for _, h := range hotFrames {
		for _, e := range []Encoding{Stream, Binary, JSON} {
			encoded, err := e.Append(nil, &h.frame)
			if err != nil {
				t.Fatal(err)
			}
			name := e.String() + " " + h.frame.Type.String()
			if n := testing.AllocsPerRun(100, func() { _, _ = e.Append(buf, &h.frame) }); n != 0 {
				t.Errorf("Append %s allocates %v times, want 0", name, n)
			}
			if n := testing.AllocsPerRun(100, func() { _ = parseAs(e, encoded, h.from) }); n != 0 {
				t.Errorf("Parse %s allocates %v times, want 0", name, n)
			}
		}
	}
}

func parseAs(e Encoding, b []byte, from Side) error {
	var err error
	switch e {
	case Stream:
		_, _, err = ParseStream(b, 65536, from)
	case Binary:
		_, err = Parse(b, from)
	default:
		_, err = ParseJSON(b, from)
	}
	return err
}

// TestIncompleteDoesNotAllocate: a client that sends a byte at a time costs no
// garbage.
func TestIncompleteDoesNotAllocate(t *testing.T) {
	b := []byte(framed(request + u32(1) + sized("echo.say") + "payload"))
	if n := testing.AllocsPerRun(100, func() {
		for i := range b {
			_, _, _ = ParseStream(b[:i], 65536, FromClient)
		}
	}); n != 0 {
		t.Errorf("ParseStream of incomplete frames allocates %v times, want 0", n)
	}
}

// TestPayloadThatIsNotJSONDoesNotAllocate: a backend that speaks protobuf to
// JSON clients costs base64, and no garbage.
func TestPayloadThatIsNotJSONDoesNotAllocate(t *testing.T) {
	f := psh(1, "blob.new", strings.Repeat("\xff\x00", 64))
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { _, _ = AppendJSON(buf, &f) }); n != 0 {
		t.Errorf("AppendJSON of bytes allocates %v times, want 0", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, e := range []Encoding{Stream, JSON} {
		for _, h := range hotFrames[:4:4] {
			b.Run(e.String()+"/"+h.frame.Type.String(), func(b *testing.B) {
				buf := make([]byte, 0, 1024)
				b.ReportAllocs()
				for b.Loop() {
					buf, _ = e.Append(buf[:0], &h.frame)
				}
				b.SetBytes(int64(len(buf)))
			})
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, e := range []Encoding{Stream, JSON} {
		for _, h := range hotFrames[:5:5] {
			b.Run(e.String()+"/"+h.frame.Type.String(), func(b *testing.B) {
				encoded, err := e.Append(nil, &h.frame)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(encoded)))
				b.ReportAllocs()
				for b.Loop() {
					_ = parseAs(e, encoded, h.from)
				}
			})
		}
	}
}

func BenchmarkParseHello(b *testing.B) {
	in := []byte(helloVectors[4].json)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseHello(in)
	}
}

func BenchmarkAppendWelcome(b *testing.B) {
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendWelcome(buf[:0], &welcomeVectors[0].want)
	}
}
