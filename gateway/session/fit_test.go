package session

import (
	"bytes"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestFitsOnJSON: max_frame counts the text of a JSON connection, which is longer
// than the binary frame when the payload is not JSON.
func TestFitsOnJSON(t *testing.T) {
	const limit = 64 << 10
	quoted := append(append([]byte{'"'}, bytes.Repeat([]byte("x"), limit-200)...), '"')
	binary := bytes.Repeat([]byte{0xff}, limit*4/5)
	for _, tt := range []struct {
		name    string
		enc     wire.Encoding
		payload []byte
		want    bool
	}{
		{"JSON in JSON", wire.JSON, quoted, true},
		{"bytes in JSON", wire.JSON, binary, false},
		{"few bytes in JSON", wire.JSON, binary[:limit/2], true},
		{"bytes in binary", wire.Binary, binary, true},
		{"bytes on a stream", wire.Stream, binary, true},
		{"too long at all", wire.Stream, make([]byte, limit), false},
	} {
		s := New(State{}, &Deps{Limits: &Limits{FrameBytesMax: limit}})
		s.at = &Attachment{s: s, conn: &fakeConn{enc: tt.enc}}
		f := wire.Frame{Type: wire.TypeReply, ID: 1, Payload: tt.payload}
		if got := s.fits(f); got != tt.want {
			t.Errorf("%s: fits = %v, want %v", tt.name, got, tt.want)
		}
		text, err := wire.AppendJSON(nil, &f)
		if tt.enc == wire.JSON && tt.want && (err != nil || len(text) > limit) {
			t.Errorf("%s: %d bytes of text (%v) fit %d", tt.name, len(text), err, limit)
		}
	}
}
