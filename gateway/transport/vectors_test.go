package transport

import (
	"testing"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestVectorsAreGivenBack fails when netpoll keeps its vectors in another way
// than it did, so that giveVectors does nothing.
func TestVectorsAreGivenBack(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	nc, err := netpoll.NewFDConnection(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	v := vectorsOf(nc)
	if !v.IsValid() || v.IsNil() {
		t.Fatalf("the vectors of a connection = %v, want some", v)
	}
	giveVectors(nc)
	if !v.IsNil() {
		t.Error("a connection has its vectors after giveVectors")
	}
	takeVectors(nc)
	if v.IsNil() {
		t.Error("a connection has no vectors after takeVectors: netpoll would put nil into its pool")
	}
	if n, err := nc.Writer().WriteString("x"); n != 1 || err != nil || nc.Writer().Flush() != nil {
		t.Errorf("write through netpoll with vectors of the pool = %d, %v", n, err)
	}
	if err := nc.Close(); err != nil {
		t.Error(err)
	}
}

func TestAppendFrameDoesNotAllocate(t *testing.T) {
	dst, payload := make([]byte, 0, 1024), make([]byte, 64)
	for _, f := range []framing{streamFraming{}, wsFraming{}} {
		allocs := testing.AllocsPerRun(100, func() {
			frame := wire.Frame{Type: wire.TypeReply, ID: 1, Payload: payload}
			if _, err := appendFrame(f, dst, &frame); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("appendFrame(%T) allocates %v times per frame, want 0", f, allocs)
		}
	}
}
