package wire

import "strings"

// refusalVector is a frame that must be refused with code 4500, in one of its
// forms or in both. About is a part of the message: the field and its limit.
type refusalVector struct {
	name   string
	from   Side
	about  string
	binary string
	json   string
}

var refusalVectors = []refusalVector{
	{"frame/type 0", FromClient, "type", "\x00", `{"type":""}`},
	{"frame/type unknown", FromClient, "type", "\x0b", `{"type":"subscribe"}`},
	{"frame/type 255", FromGateway, "type", "\xff" + u32(1), `{"type":"HELLO"}`},
	{"frame/welcome from a client", FromClient, "type: welcome is sent by the gateway only", welcome + `{}`, `{"type":"welcome"}`},
	{"frame/reply from a client", FromClient, "type: reply", reply + u32(1) + "\x00\x00", `{"type":"reply","id":1,"status":0}`},
	{"frame/push from a client", FromClient, "type: push", push + u64(1) + sized("a"), `{"type":"push","seq":1,"command":"a"}`},
	{"frame/goaway from a client", FromClient, "type: goaway", goAway + `{}`, `{"type":"goaway"}`},
	{"frame/hello from a gateway", FromGateway, "type: hello is sent by the client only", hello + `{}`, `{"type":"hello"}`},
	{"frame/request from a gateway", FromGateway, "type: request", request + u32(1) + sized("a"), `{"type":"request","id":1,"command":"a"}`},
	{"frame/ack from a gateway", FromGateway, "type: ack", ack + u64(1), `{"type":"ack","seq":1}`},

	{"hello/empty", FromClient, "hello: a body of 0 bytes, want at least 2", hello, ``},
	{"hello/cut short", FromClient, "hello: not valid JSON at byte 13", hello + `{"protocol":1`, `{"type":"hello","protocol":1`},
	{"hello/array", FromClient, "not a JSON object", hello + `[]`, `[]`},
	{"hello/null", FromClient, "not a JSON object", hello + `null`, `null`},
	{"hello/two objects", FromClient, "something follows the JSON object at byte 2", hello + `{}{}`, ``},
	{"hello/not UTF-8", FromClient, "not UTF-8", hello + "{\"a\":\"\xc3\x28\"}", "{\"type\":\"hello\",\"a\":\"\xc3\x28\"}"},
	{"hello/another type named inside", FromClient, "type: not hello", hello + `{"type":"ping"}`, ``},
	{"hello/type twice", FromClient, "member type repeats", hello + `{"type":"hello","type":"hello"}`, `{"type":"hello","type":"hello"}`},
	{"hello/nested 65 deep", FromClient, "JSON nests deeper than 64", hello + `{"a":` + nested(65) + `}`, `{"type":"hello","a":` + nested(65) + `}`},
	{"welcome/cut short", FromGateway, "not valid JSON", welcome + `{"session"`, `{"type":"welcome","session"`},
	{"goaway/array", FromGateway, "not a JSON object", goAway + `[]`, ``},

	{"request/id 0", FromClient, "request id", request + u32(0) + sized("a"), `{"type":"request","id":0,"command":"a"}`},
	{"request/cut inside the id", FromClient, "request: a body of 3 bytes, want at least 6", request + "\x00\x00\x01", ``},
	{"request/no command", FromClient, "request: a body of 4 bytes", request + u32(1), `{"type":"request","id":1}`},
	{"request/command empty", FromClient, "request command: 0 bytes, want 1 to 64", request + u32(1) + sized("") + "x", `{"type":"request","id":1,"command":""}`},
	{"request/command of 65 bytes", FromClient, "request command: 65 bytes, want 1 to 64", request + u32(1) + sized(command64+"a"), `{"type":"request","id":1,"command":"` + command64 + `a"}`},
	{"request/command longer than the frame", FromClient, "request command: 2 bytes named, 1 left", request + u32(1) + "\x02a", ``},
	{"request/command of 255 bytes named", FromClient, "request command: 255 bytes named, 1 left", request + u32(1) + "\xffa", ``},
	{"request/command in upper case", FromClient, "request command: bytes other than", request + u32(1) + sized("Msg"), `{"type":"request","id":1,"command":"Msg"}`},
	{"request/command with a space", FromClient, "request command: bytes other than", request + u32(1) + sized("a b"), `{"type":"request","id":1,"command":"a b"}`},
	{"request/command with a slash", FromClient, "request command: bytes other than", request + u32(1) + sized("a/b"), `{"type":"request","id":1,"command":"a\/b"}`},
	{"request/command with a letter beyond ASCII", FromClient, "request command: bytes other than", request + u32(1) + sized("é"), `{"type":"request","id":1,"command":"é"}`},
	{"request/command with a zero byte", FromClient, "request command: bytes other than", request + u32(1) + sized("a\x00"), `{"type":"request","id":1,"command":"a\u0000"}`},
	{"request/dollar alone", FromClient, "request command: bytes other than", request + u32(1) + sized("$"), `{"type":"request","id":1,"command":"$"}`},
	{"request/dollar inside", FromClient, "request command: bytes other than", request + u32(1) + sized("a$b"), `{"type":"request","id":1,"command":"a$b"}`},
	{"request/two dollars", FromClient, "request command: bytes other than", request + u32(1) + sized("$$a"), `{"type":"request","id":1,"command":"$$a"}`},
	{"request/id missing", FromClient, "request id: want an integer", "", `{"type":"request","command":"a"}`},
	{"request/id null", FromClient, "request id: want an integer", "", `{"type":"request","id":null,"command":"a"}`},
	{"request/id in quotes", FromClient, "request id: want an integer", "", `{"type":"request","id":"1","command":"a"}`},
	{"request/id with a fraction", FromClient, "request id: want an integer", "", `{"type":"request","id":1.0,"command":"a"}`},
	{"request/id with an exponent", FromClient, "request id: want an integer", "", `{"type":"request","id":1e2,"command":"a"}`},
	{"request/id negative", FromClient, "request id: want an integer", "", `{"type":"request","id":-1,"command":"a"}`},
	{"request/id of 33 bits", FromClient, "from 1 to 4294967295", "", `{"type":"request","id":4294967296,"command":"a"}`},
	{"request/id beyond 64 bits", FromClient, "from 1 to 4294967295", "", `{"type":"request","id":18446744073709551617,"command":"a"}`},
	{"request/id twice", FromClient, "member id repeats", "", `{"type":"request","id":1,"command":"a","id":1}`},
	{"request/payload twice", FromClient, "member payload repeats", "", `{"type":"request","id":1,"command":"a","payload":1,"payload":1}`},
	{"request/member twice, once with escapes", FromClient, "member id repeats", "", `{"type":"request","id":1,"command":"a","\u0069d":1}`},
	{"request/both forms of payload", FromClient, "both payload and payload_base64", "", `{"type":"request","id":1,"command":"a","payload":1,"payload_base64":"MQ=="}`},
	{"request/payload nested 65 deep", FromClient, "JSON nests deeper than 64", "", `{"type":"request","id":1,"command":"a","payload":` + nested(65) + `}`},
	{"request/ignored member nested 65 deep", FromClient, "JSON nests deeper than 64", "", `{"type":"request","id":1,"command":"a","x":` + nested(65) + `}`},
	{"request/command not a string", FromClient, "request command: want a string", "", `{"type":"request","id":1,"command":7}`},
	{"request/base64 without padding", FromClient, "request payload_base64: want standard base64", "", `{"type":"request","id":1,"command":"a","payload_base64":"aGk"}`},
	{"request/base64 of the URL alphabet", FromClient, "request payload_base64: want standard base64", "", `{"type":"request","id":1,"command":"a","payload_base64":"__-_"}`},
	{"request/base64 with a line break", FromClient, "request payload_base64: want standard base64", "", `{"type":"request","id":1,"command":"a","payload_base64":"aG\nk="}`},
	{"request/base64 with bits to spare", FromClient, "request payload_base64: want standard base64", "", `{"type":"request","id":1,"command":"a","payload_base64":"aGl="}`},
	{"request/base64 not a string", FromClient, "request payload_base64: want a string", "", `{"type":"request","id":1,"command":"a","payload_base64":[]}`},

	{"frame/no bytes", FromClient, "frame", "", ` `},
	{"frame/no type", FromClient, "type: want a string", "", `{"id":1}`},
	{"frame/type null", FromClient, "type: want a string", "", `{"type":null}`},
	{"frame/type a number", FromClient, "type: want a string", "", `{"type":3}`},
	{"frame/byte order mark", FromClient, "not a JSON object", "", "\ufeff" + `{"type":"ping"}`},
	{"frame/text behind the object", FromClient, "something follows the JSON object at byte 15", "", `{"type":"ping"}x`},
	{"frame/comma at the end", FromClient, "not valid JSON at byte 15", "", `{"type":"ping",}`},
	{"frame/comment", FromClient, "not valid JSON", "", `{"type":"ping"/**/}`},
	{"frame/single quotes", FromClient, "not valid JSON", "", `{'type':'ping'}`},
	{"frame/line break in a string", FromClient, "not valid JSON", "", "{\"type\":\"ping\",\"x\":\"\n\"}"},
	{"frame/unknown escape", FromClient, "not valid JSON", "", `{"type":"ping","x":"\x41"}`},
	{"frame/escape cut short", FromClient, "not valid JSON", "", `{"type":"ping","x":"\u00"}`},
	{"frame/number with a leading zero", FromClient, "not valid JSON", "", `{"type":"ping","x":01}`},
	{"frame/number with a plus", FromClient, "not valid JSON", "", `{"type":"ping","x":+1}`},
	{"frame/number ending in a point", FromClient, "not valid JSON", "", `{"type":"ping","x":1.}`},
	{"frame/NaN", FromClient, "not valid JSON", "", `{"type":"ping","x":NaN}`},
	{"frame/half a word", FromClient, "not valid JSON", "", `{"type":"ping","x":tru}`},

	{"reply/cut short", FromGateway, "reply: a body of 5 bytes, want at least 6", reply + u32(1) + "\x00", `{"type":"reply","id":1}`},
	{"reply/id 0", FromGateway, "reply id", reply + u32(0) + "\x00\x00", `{"type":"reply","id":0,"status":0}`},
	{"reply/status 17", FromGateway, "reply status", reply + u32(1) + "\x11\x00", `{"type":"reply","id":1,"status":17}`},
	{"reply/another flag", FromGateway, "reply flags: 0x02", reply + u32(1) + "\x00\x02", ``},
	{"reply/gateway not a boolean", FromGateway, "reply gateway: want true or false", "", `{"type":"reply","id":1,"status":0,"gateway":1}`},

	{"push/cut inside seq", FromGateway, "push: a body of 9 bytes, want at least 10", push + u64(1) + "\x00", `{"type":"push","command":"a"}`},
	{"push/seq of 64 bits", FromGateway, "push seq", push + u64(1<<63) + sized("a"), `{"type":"push","seq":9223372036854775808,"command":"a"}`},
	{"push/command empty", FromGateway, "push command: 0 bytes", push + u64(1) + sized("") + "a", `{"type":"push","seq":1,"command":""}`},
	{"push/command longer than the frame", FromGateway, "push command: 9 bytes named, 1 left", push + u64(1) + "\x09a", ``},

	{"ack/7 bytes", FromClient, "ack: a body of 7 bytes, want 8", ack + "\x00\x00\x00\x00\x00\x00\x01", `{"type":"ack"}`},
	{"ack/9 bytes", FromClient, "ack: a body of 9 bytes, want 8", ack + u64(1) + "\x00", ``},
	{"ack/seq of 64 bits", FromClient, "ack seq", ack + u64(1<<63), `{"type":"ack","seq":9223372036854775808}`},

	{"ping/9 bytes", FromClient, "ping", ping + "123456789", `{"type":"ping","data":"MTIzNDU2Nzg5"}`},
	{"pong/9 bytes", FromGateway, "pong", pong + "123456789", `{"type":"pong","data":"MTIzNDU2Nzg5"}`},
	{"ping/data not a string", FromClient, "ping data: want a string", "", `{"type":"ping","data":1}`},

	{"close/no code", FromClient, "close: a body of 0 bytes, want 2 to 122", closing, `{"type":"close"}`},
	{"close/half a code", FromClient, "close: a body of 1 bytes", closing + "\x03", `{"type":"close","code":"1000"}`},
	{"close/code of 17 bits", FromClient, "close code", "", `{"type":"close","code":65536}`},
	{"close/reason of 121 bytes", FromClient, "close", closing + u16(1000) + reason120 + "x", `{"type":"close","code":1000,"reason":"` + reason120 + `x"}`},
	{"close/reason not UTF-8", FromClient, "not UTF-8", closing + u16(1000) + "\xff", "{\"type\":\"close\",\"code\":1000,\"reason\":\"\xff\"}"},
	{"close/reason cut inside a character", FromClient, "close reason: not UTF-8", closing + u16(1000) + "\xe6\xbc", ``},
	{"close/reason not a string", FromClient, "close reason: want a string", "", `{"type":"close","code":1000,"reason":{}}`},
}

// streamVector is what a reader of a byte stream meets: so many frames, and
// then either a refusal, from byte refusedAt of the stream on, or the
// beginning of a frame.
type streamVector struct {
	name      string
	from      Side
	maxFrame  int
	bytes     string
	frames    []Frame
	code      CloseCode // 0: not refused
	refusedAt int       // how many bytes must be there to refuse
}

var pingFrame = Frame{Type: TypePing}

var streamVectors = []streamVector{
	{"nothing", FromClient, 64, "", nil, 0, 0},
	{"one frame", FromClient, 64, framed(ping), []Frame{pingFrame}, 0, 0},
	{"three frames", FromClient, 64, framed(ping) + framed(ack+u64(3)) + framed(request+u32(1)+sized("a")+"1"),
		[]Frame{pingFrame, {Type: TypeAck, Seq: 3}, req(1, "a", "1")}, 0, 0},
	{"a frame and half a length", FromClient, 64, framed(ping) + "\x00\x00", []Frame{pingFrame}, 0, 0},
	{"a frame and a length", FromClient, 64, framed(ping) + u32(9), []Frame{pingFrame}, 0, 0},
	{"a frame and half a frame", FromClient, 64, framed(ping) + framed(ack + u64(3))[:9], []Frame{pingFrame}, 0, 0},
	{"as long as may be", FromClient, 16, framed(request + u32(1) + sized("a") + "123456789"), []Frame{req(1, "a", "123456789")}, 0, 0},
	{"one byte too long", FromClient, 16, framed(request + u32(1) + sized("a") + "1234567890"), nil, CloseFrameTooLarge, 4},
	{"too long after a frame", FromClient, 16, framed(ping) + u32(17), []Frame{pingFrame}, CloseFrameTooLarge, 9},
	{"4 GiB", FromClient, FrameBytesMax, "\xff\xff\xff\xff", nil, CloseFrameTooLarge, 4},
	{"16 MiB", FromClient, FrameBytesMax, u32(1 << 24), nil, CloseFrameTooLarge, 4},
	{"16 MiB less one byte, awaited", FromClient, FrameBytesMax, u32(1<<24-1) + request, nil, 0, 0},
	{"a sign bit", FromClient, 65536, u32(1 << 31), nil, CloseFrameTooLarge, 4},
	{"an HTTP request", FromClient, 65536, "GET / HTTP/1.1\r\n\r\n", nil, CloseFrameTooLarge, 4},
	{"a TLS hello", FromClient, 65536, "\x16\x03\x01\x02\x00\x01", nil, CloseFrameTooLarge, 4},
	{"length 0", FromClient, 64, u32(0), nil, CloseProtocolError, 4},
	{"length 0 after a frame", FromClient, 64, framed(ping) + u32(0), []Frame{pingFrame}, CloseProtocolError, 9},
	{"a type that is not, before its body", FromClient, 65536, u32(65536) + "\x0b", nil, CloseProtocolError, 5},
	{"a type of the other side, before its body", FromClient, 65536, u32(65536) + push, nil, CloseProtocolError, 5},
	{"a ping too long, before its body", FromClient, 65536, u32(10) + ping, nil, CloseProtocolError, 5},
	{"an ack too short, before its body", FromClient, 65536, u32(8) + ack, nil, CloseProtocolError, 5},
	{"a close too long, before its body", FromGateway, 65536, u32(124) + closing, nil, CloseProtocolError, 5},
	{"a request id of 0", FromClient, 64, framed(request + u32(0) + sized("a")), nil, CloseProtocolError, 11},
	{"a length of a few bytes too little", FromClient, 64, u32(10) + (request + u32(1) + sized("echo.say")), nil, CloseProtocolError, 14},
	{"a conversation's beginning", FromGateway, 64, framed(welcome+`{"session":"s"}`) + framed(push+u64(1)+sized("a")),
		[]Frame{obj(TypeWelcome, `{"session":"s"}`), psh(1, "a", "")}, 0, 0},
}

// arrayVector is a body of long poll. Frames nil: refused with 4500.
type arrayVector struct {
	name   string
	from   Side
	json   string
	frames []Frame
}

var arrayVectors = []arrayVector{
	{"none", FromGateway, ` [ ] `, []Frame{}},
	{"two", FromClient, `[{"type":"ack","seq":3} , {"type":"request","id":1,"command":"a","payload":[1]}]`, []Frame{{Type: TypeAck, Seq: 3}, req(1, "a", "[1]")}},
	{"payload nested 64 deep", FromClient, `[{"type":"request","id":1,"command":"a","payload":` + nested(64) + `}]`, []Frame{req(1, "a", nested(64))}},
	{"payload nested 65 deep", FromClient, `[{"type":"request","id":1,"command":"a","payload":` + nested(65) + `}]`, nil},
	{"empty body", FromClient, ``, nil},
	{"object", FromClient, `{"type":"ping"}`, nil},
	{"array in the array", FromClient, `[[]]`, nil},
	{"one bad frame among good ones", FromClient, `[{"type":"ack","seq":3},{"type":"request","id":0,"command":"a"}]`, nil},
	{"comma at the end", FromClient, `[{"type":"ack","seq":3},]`, nil},
	{"no comma", FromClient, `[{"type":"ack","seq":3}{"type":"ack","seq":3}]`, nil},
	{"not ended", FromClient, `[{"type":"ack","seq":3}`, nil},
	{"text behind the array", FromClient, `[]x`, nil},
	{"text behind a filled array", FromClient, `[{"type":"ack","seq":3}]x`, nil},
	{"not UTF-8", FromClient, "[{\"type\":\"ack\",\"seq\":3,\"x\":\"\xff\"}]", nil},
	{"long", FromClient, "[" + strings.Repeat(`{"type":"ping"},`, 9) + `{"type":"ping"}]`, []Frame{pingFrame, pingFrame, pingFrame, pingFrame, pingFrame, pingFrame, pingFrame, pingFrame, pingFrame, pingFrame}},
}
