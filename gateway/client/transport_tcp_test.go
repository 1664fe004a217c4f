package client

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// trickle is a net.Conn that reads from r.
type trickle struct {
	net.Conn
	r io.Reader
}

func (c trickle) Read(b []byte) (int, error)      { return c.r.Read(b) }
func (c trickle) SetReadDeadline(time.Time) error { return nil }

// TestReadAnySplit reads frames of many sizes in reads of one byte, of half of
// what is asked for, and of all.
func TestReadAnySplit(t *testing.T) {
	var stream []byte
	sizes := []int{0, 1, 5, 4080, 4090, 4100, 100_000, 3, 200_000, 0}
	for i, n := range sizes {
		f := wire.Frame{Type: wire.TypePush, Seq: uint64(i + 1), Command: []byte("a.b"), Payload: bytes.Repeat([]byte{byte(i)}, n)}
		var err error
		if stream, err = wire.AppendStream(stream, &f); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"half":     iotest.HalfReader(bytes.NewReader(stream)),
		"all":      bytes.NewReader(stream),
		"with EOF": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		tr := &tcpTransport{in: newInbox(trickle{r: r})}
		for i, n := range sizes {
			f, err := tr.Read(time.Second)
			if err != nil || f.Seq != uint64(i+1) || !bytes.Equal(f.Payload, bytes.Repeat([]byte{byte(i)}, n)) {
				t.Fatalf("%s: frame %d = seq %d, %d bytes, %v, want %d bytes", name, i, f.Seq, len(f.Payload), err, n)
			}
		}
		if _, err := tr.Read(time.Second); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end %v, want EOF", name, err)
		}
		if len(tr.in.buf) > readBufferKeepBytes {
			t.Errorf("%s: keeps a buffer of %d bytes while idle, want at most %d", name, len(tr.in.buf), readBufferKeepBytes)
		}
	}
}

// TestSilenceIsCountedPerByte: a frame that arrives slowly is not silence.
func TestSilenceIsCountedPerByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		frame, _ := wire.AppendStream(nil, &wire.Frame{Type: wire.TypePing, Payload: []byte("12345678")})
		go func() {
			for _, b := range frame {
				time.Sleep(9 * time.Second)
				if _, err := far.Write([]byte{b}); err != nil {
					t.Error(err)
				}
			}
		}()
		tr := &tcpTransport{in: newInbox(near)}
		if f, err := tr.Read(10 * time.Second); err != nil || f.Type != wire.TypePing {
			t.Errorf("slow frame = %+v, %v", f, err)
		}
		began := time.Now()
		if _, err := tr.Read(10 * time.Second); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("after %v of silence: %v, want a deadline after 10s", time.Since(began), err)
		}
	})
}
