package wire_test

import (
	"errors"
	"fmt"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// A reader of a stream keeps what it has read and parses until the frame is
// incomplete.
func ExampleParseStream() {
	buf, _ := wire.AppendStream(nil, &wire.Frame{Type: wire.TypeRequest, ID: 7, Command: []byte("echo.say"), Payload: []byte("hi")})
	buf = append(buf, 0, 0) // the beginning of the next frame

	for {
		f, size, err := wire.ParseStream(buf, 65536, wire.FromClient)
		if errors.Is(err, wire.ErrIncomplete) {
			fmt.Println("left over:", len(buf))
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v %d %s %s\n", f.Type, f.ID, f.Command, f.Payload)
		buf = buf[size:]
	}
	// Output:
	// request 7 echo.say hi
	// left over: 2
}

// A refusal carries the code and the reason of the CLOSE that answers it.
func ExampleProtocolError() {
	http := []byte("GET / HTTP/1.1\r\n")
	_, _, err := wire.ParseStream(http, 65536, wire.FromClient)

	var refusal *wire.ProtocolError
	if errors.As(err, &refusal) {
		reply, _ := wire.AppendStream(nil, &wire.Frame{Type: wire.TypeClose, Code: refusal.Code, Reason: []byte(refusal.Message)})
		fmt.Printf("%d %v: %s\n", refusal.Code, refusal.Code, refusal.Message)
		fmt.Printf("CLOSE of %d bytes\n", len(reply))
	}
	// Output:
	// 4501 FRAME_TOO_LARGE: length: 1195725856 bytes, at most 65536
	// CLOSE of 46 bytes
}

// The same frame in both encodings.
func ExampleEncoding_Append() {
	f := wire.Frame{Type: wire.TypePush, Seq: 7, Command: []byte("msg.new"), Payload: []byte(`{"from":"1001"}`)}
	binary, _ := wire.Binary.Append(nil, &f)
	text, _ := wire.JSON.Append(nil, &f)
	fmt.Printf("%x\n", binary)
	fmt.Printf("%s\n", text)
	// Output:
	// 050000000000000007076d73672e6e65777b2266726f6d223a2231303031227d
	// {"type":"push","seq":7,"command":"msg.new","payload":{"from":"1001"}}
}

// A client begins with HELLO.
func ExampleAppendHello() {
	hello, err := wire.AppendHello(nil, &wire.Hello{Token: "t", Device: &wire.Device{ID: "d1", Class: "pc"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	frame, _ := wire.Append(nil, &wire.Frame{Type: wire.TypeHello, Payload: hello})
	fmt.Printf("%q\n", frame)
	// Output:
	// "\x01{\"protocol\":1,\"token\":\"t\",\"device\":{\"id\":\"d1\",\"class\":\"pc\"}}"
}

// The close code decides what a client does next.
func ExampleCloseCode_Reconnect() {
	for _, code := range []wire.CloseCode{wire.CloseOverloaded, wire.CloseKicked, 1006, 4321} {
		r := code.Reconnect()
		fmt.Println(code, r, r.ComesBack(), code.EndsSession())
	}
	// Output:
	// OVERLOADED back_off true false
	// KICKED stop_until_user_acts false true
	// CODE_1006 resume true false
	// CODE_4321 back_off true false
}

// A client sends a request again by itself only when the gateway says that it
// was not run.
func ExampleStatus_MayRetry() {
	fmt.Println(wire.StatusUnavailable.MayRetry(wire.FlagOriginGateway))
	fmt.Println(wire.StatusUnavailable.MayRetry(0)) // a backend's own: its affair
	fmt.Println(wire.StatusUnknown.MayRetry(wire.FlagOriginGateway), wire.StatusUnknown.MayHaveRun(wire.FlagOriginGateway))
	// Output:
	// true
	// false
	// false true
}
