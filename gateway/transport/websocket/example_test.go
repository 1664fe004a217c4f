package websocket_test

import (
	"fmt"

	"github.com/holdfast-io/holdfast/gateway/transport/websocket"
)

// A reader gives all bytes that have come, until they are used up.
func ExampleDecoder() {
	d := websocket.NewDecoder(true, 65536)
	read := []byte("\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d" + // "Hel", to be continued
		"\x89\x80\x00\x00\x00\x00" + // a ping in between
		"\x80\x82\x3d\x37\xfa\x21\x51\x58") // "lo"

	var answer []byte
	for len(read) > 0 {
		ev, n, err := d.Next(read)
		if err != nil {
			fault := err.(*websocket.Fault)
			answer = websocket.AppendClose(answer, fault.Code, fault.Message)
			break
		}
		read = read[n:]
		switch ev.Kind {
		case websocket.Message:
			fmt.Printf("message %q\n", ev.Payload)
		case websocket.Ping:
			answer = websocket.AppendControl(answer, websocket.Pong, ev.Payload)
		}
	}
	fmt.Printf("answer %x\n", answer)
	// Output:
	// message "Hello"
	// answer 8a00
}
