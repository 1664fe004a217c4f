package http1_test

import (
	"errors"
	"fmt"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
)

// A connection gives the parser what has come, and answers each request.
func ExampleParser_Next() {
	p := http1.NewParser(http1.Limits{HeadBytes: http1.HeadBytesMax, BodyBytes: 64 << 10})
	reads := []string{
		"POST /v1/poll HTTP/1.1\r\nHost: gw-1\r\nContent-Le",
		"ngth: 14\r\n\r\n{\"protocol\":1}GET /v1/poll?seq=7 HTTP/1.1\r\n",
		"Host: gw-1\r\n\r\n",
		"BREW /coffee\r\n\r\n",
	}
	for _, read := range reads {
		for b := []byte(read); len(b) > 0; {
			r, n, err := p.Next(b)
			var refusal *http1.Error
			if errors.As(err, &refusal) {
				fmt.Println(refusal.Status, refusal.Message)
				return // after the answer the connection is closed
			}
			if r != nil {
				fmt.Printf("%s %s %q %q\n", r.Method, r.Path, r.RawQuery, r.Body)
			}
			b = b[n:]
		}
		fmt.Println("idle:", p.Idle())
	}
	// Output:
	// idle: false
	// POST /v1/poll "" "{\"protocol\":1}"
	// idle: false
	// GET /v1/poll "seq=7" ""
	// idle: true
	// 400 request line: not a method, a target and a version
}

func ExampleAppendResponse() {
	b := http1.AppendResponse(nil, 503, true, []byte(`{"type":"close","code":4003}`),
		http1.Field{Name: "Content-Type", Value: "application/json"},
		http1.Field{Name: "Retry-After", Value: "2"})
	fmt.Printf("%q\n", b)
	// Output:
	// "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 28\r\nConnection: close\r\nCache-Control: no-store\r\nContent-Type: application/json\r\nRetry-After: 2\r\n\r\n{\"type\":\"close\",\"code\":4003}"
}

func ExampleAppendStreamHead() {
	b := http1.AppendStreamHead(nil)
	b = http1.AppendChunk(b, []byte("id: 7\ndata: {}\n\n"))
	b = http1.AppendLastChunk(b)
	fmt.Printf("%q\n", b)
	// Output:
	// "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nCache-Control: no-store\r\n\r\n10\r\nid: 7\ndata: {}\n\n\r\n0\r\n\r\n"
}
