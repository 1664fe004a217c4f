package proxyproto_test

import (
	"errors"
	"fmt"

	"github.com/holdfast-io/holdfast/gateway/transport/proxyproto"
)

// A listener that requires the header keeps what it has read until it is whole.
// What stands behind it is the client's.
func ExampleParse() {
	var kept []byte
	for _, read := range []string{"PROXY TCP4 192.0.2.1 198.51", ".100.2 4660 443\r\nGET / HTTP/1.1\r\n"} {
		kept = append(kept, read...)
		h, n, err := proxyproto.Parse(kept, proxyproto.HeaderBytesMax)
		if errors.Is(err, proxyproto.ErrIncomplete) {
			fmt.Println("kept:", len(kept))
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("client %v, local %v, then %q\n", h.Source, h.Local, kept[n:])
	}
	// Output:
	// kept: 27
	// client 192.0.2.1:4660, local false, then "GET / HTTP/1.1\r\n"
}

// A client that comes without the balancer is refused at its first byte.
func ExampleError() {
	_, _, err := proxyproto.Parse([]byte("GET / HTTP/1.1\r\n"), proxyproto.HeaderBytesMax)
	var refusal *proxyproto.Error
	fmt.Println(errors.As(err, &refusal), err)
	// Output:
	// true proxyproto: signature: none of a PROXY header
}
