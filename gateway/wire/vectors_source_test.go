package wire

import (
	"encoding/binary"
	"strings"
)

// This file and its siblings vectors_*_source_test.go are the readable source
// of testdata/vectors.json. They spell every frame out in bytes and in JSON
// without help of the codecs, so that the vectors judge the codecs and not the
// other way round. After a change run
//
//	go test ./gateway/wire -run TestVectors -update
//
// and read the difference in vectors.json like code.

// The parts that binary frames are written with below.
func u8(n uint8) string   { return string([]byte{n}) }
func u16(n uint16) string { return string(binary.BigEndian.AppendUint16(nil, n)) }
func u32(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
func u64(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// sized is a text with its length in one byte before it.
func sized(s string) string { return u8(uint8(len(s))) + s }

// framed is a frame with its length in four bytes before it.
func framed(s string) string { return u32(uint32(len(s))) + s }

// nested is a JSON array in arrays, n deep.
func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// The frames by their first byte, so that the tables read as the protocol does.
const (
	hello   = "\x01"
	welcome = "\x02"
	request = "\x03"
	reply   = "\x04"
	push    = "\x05"
	ack     = "\x06"
	ping    = "\x07"
	pong    = "\x08"
	goAway  = "\x09"
	closing = "\x0a"
)

// frameVector is a frame in its three forms. Binary or JSON may be empty when
// the row is about the other only.
type frameVector struct {
	name   string
	from   Side
	frame  Frame
	binary string
	json   string
}

func req(id uint32, command, payload string) Frame {
	return Frame{Type: TypeRequest, ID: id, Command: []byte(command), Payload: []byte(payload)}
}

func rep(id uint32, s Status, f Flags, payload string) Frame {
	return Frame{Type: TypeReply, ID: id, Status: s, Flags: f, Payload: []byte(payload)}
}

func psh(seq uint64, command, payload string) Frame {
	return Frame{Type: TypePush, Seq: seq, Command: []byte(command), Payload: []byte(payload)}
}

func obj(t Type, object string) Frame { return Frame{Type: t, Payload: []byte(object)} }

func cls(code CloseCode, reason string) Frame {
	return Frame{Type: TypeClose, Code: code, Reason: []byte(reason)}
}

var command64 = strings.Repeat("abcdefgh", 8)
var reason120 = strings.Repeat("0123456789", 12)

// frameVectors hold in all directions: each codec decodes its form to the
// frame, and encodes the frame to exactly its form.
var frameVectors = []frameVector{
	{"request/empty payload", FromClient, req(1, "echo.say", ""),
		request + u32(1) + sized("echo.say"), `{"type":"request","id":1,"command":"echo.say"}`},
	{"request/object", FromClient, req(7, "msg.send", `{"to":"1002","content":"hi"}`),
		request + u32(7) + sized("msg.send") + `{"to":"1002","content":"hi"}`,
		`{"type":"request","id":7,"command":"msg.send","payload":{"to":"1002","content":"hi"}}`},
	{"request/object with inner white space", FromClient, req(8, "a", "{ \"a\" :\n1 }"),
		request + u32(8) + sized("a") + "{ \"a\" :\n1 }", "{\"type\":\"request\",\"id\":8,\"command\":\"a\",\"payload\":{ \"a\" :\n1 }}"},
	{"request/array", FromClient, req(2, "a", `[1,2,[]]`),
		request + u32(2) + sized("a") + `[1,2,[]]`, `{"type":"request","id":2,"command":"a","payload":[1,2,[]]}`},
	{"request/string", FromClient, req(3, "a", `"\u00e9\"é"`),
		request + u32(3) + sized("a") + `"\u00e9\"é"`, `{"type":"request","id":3,"command":"a","payload":"\u00e9\"é"}`},
	{"request/number kept digit by digit", FromClient, req(4, "a", `-0.10e+2`),
		request + u32(4) + sized("a") + `-0.10e+2`, `{"type":"request","id":4,"command":"a","payload":-0.10e+2}`},
	{"request/null is a payload", FromClient, req(5, "a", `null`),
		request + u32(5) + sized("a") + `null`, `{"type":"request","id":5,"command":"a","payload":null}`},
	{"request/true", FromClient, req(6, "a", `true`),
		request + u32(6) + sized("a") + `true`, `{"type":"request","id":6,"command":"a","payload":true}`},
	{"request/repeated names inside a payload", FromClient, req(6, "a", `{"a":1,"a":2}`),
		request + u32(6) + sized("a") + `{"a":1,"a":2}`, `{"type":"request","id":6,"command":"a","payload":{"a":1,"a":2}}`},
	{"request/nested 64 deep", FromClient, req(9, "a", nested(64)),
		request + u32(9) + sized("a") + nested(64), `{"type":"request","id":9,"command":"a","payload":` + nested(64) + `}`},
	{"request/nested 65 deep travels as base64", FromClient, req(9, "a", nested(65)), request + u32(9) + sized("a") + nested(65),
		`{"type":"request","id":9,"command":"a","payload_base64":"` + strings.Repeat("W1tb", 21) + "W1td" + strings.Repeat("XV1d", 21) + `XQ=="}`},
	{"request/bytes", FromClient, req(10, "blob.put", "\x00\x01\xfe\xff"), request + u32(10) + sized("blob.put") + "\x00\x01\xfe\xff",
		`{"type":"request","id":10,"command":"blob.put","payload_base64":"AAH+/w=="}`},
	{"request/text that is not JSON", FromClient, req(11, "a", "hi"), request + u32(11) + sized("a") + "hi",
		`{"type":"request","id":11,"command":"a","payload_base64":"aGk="}`},
	{"request/JSON that is not UTF-8", FromClient, req(12, "a", "\"\xff\""), request + u32(12) + sized("a") + "\"\xff\"",
		`{"type":"request","id":12,"command":"a","payload_base64":"Iv8i"}`},
	{"request/white space alone is not JSON", FromClient, req(13, "a", " "), request + u32(13) + sized("a") + " ",
		`{"type":"request","id":13,"command":"a","payload_base64":"IA=="}`},
	{"request/highest id, longest command", FromClient, req(1<<32-1, command64, "1"), request + "\xff\xff\xff\xff" + sized(command64) + "1",
		`{"type":"request","id":4294967295,"command":"` + command64 + `","payload":1}`},
	{"request/whole alphabet", FromClient, req(1, "abcdefghijklmnopqrstuvwxyz0123456789._-", ""),
		request + u32(1) + sized("abcdefghijklmnopqrstuvwxyz0123456789._-"),
		`{"type":"request","id":1,"command":"abcdefghijklmnopqrstuvwxyz0123456789._-"}`},
	{"request/refresh", FromClient, req(14, "$refresh", `{"token":"t2"}`), request + u32(14) + sized("$refresh") + `{"token":"t2"}`,
		`{"type":"request","id":14,"command":"$refresh","payload":{"token":"t2"}}`},
	{"request/time", FromClient, req(15, "$time", ""), request + u32(15) + sized("$time"), `{"type":"request","id":15,"command":"$time"}`},

	{"reply/ok, empty", FromGateway, rep(1, StatusOK, 0, ""), reply + u32(1) + "\x00\x00", `{"type":"reply","id":1,"status":0}`},
	{"reply/ok", FromGateway, rep(7, StatusOK, 0, `{"msg_id":"m1"}`), reply + u32(7) + "\x00\x00" + `{"msg_id":"m1"}`,
		`{"type":"reply","id":7,"status":0,"payload":{"msg_id":"m1"}}`},
	{"reply/a backend's refusal", FromGateway, rep(2, StatusNotFound, 0, `"no such user"`), reply + u32(2) + "\x05\x00" + `"no such user"`,
		`{"type":"reply","id":2,"status":5,"payload":"no such user"}`},
	{"reply/bytes", FromGateway, rep(3, StatusOK, 0, "\xde\xad"), reply + u32(3) + "\x00\x00\xde\xad", `{"type":"reply","id":3,"status":0,"payload_base64":"3q0="}`},
	{"reply/gateway: not run", FromGateway, rep(4, StatusUnavailable, FlagOriginGateway, `{"message":"no instance","reason":"no_instance","retry_after_ms":500}`),
		reply + u32(4) + "\x0e\x01" + `{"message":"no instance","reason":"no_instance","retry_after_ms":500}`,
		`{"type":"reply","id":4,"status":14,"gateway":true,"payload":{"message":"no instance","reason":"no_instance","retry_after_ms":500}}`},
	{"reply/gateway: may have run", FromGateway, rep(5, StatusUnknown, FlagOriginGateway, `{"message":"lost","reason":"connection_lost"}`),
		reply + u32(5) + "\x02\x01" + `{"message":"lost","reason":"connection_lost"}`,
		`{"type":"reply","id":5,"status":2,"gateway":true,"payload":{"message":"lost","reason":"connection_lost"}}`},
	{"reply/highest status", FromGateway, rep(1<<32-1, StatusUnauthenticated, FlagOriginGateway, ""), reply + "\xff\xff\xff\xff\x10\x01",
		`{"type":"reply","id":4294967295,"status":16,"gateway":true}`},

	{"push/transient", FromGateway, psh(0, "typing", `{"from":"1002"}`), push + u64(0) + sized("typing") + `{"from":"1002"}`,
		`{"type":"push","seq":0,"command":"typing","payload":{"from":"1002"}}`},
	{"push/first", FromGateway, psh(1, "msg.new", `{"seq":1}`), push + u64(1) + sized("msg.new") + `{"seq":1}`,
		`{"type":"push","seq":1,"command":"msg.new","payload":{"seq":1}}`},
	{"push/highest seq", FromGateway, psh(1<<63-1, "a", ""), push + "\x7f\xff\xff\xff\xff\xff\xff\xff" + sized("a"),
		`{"type":"push","seq":9223372036854775807,"command":"a"}`},
	{"push/bytes", FromGateway, psh(2, "blob.new", "\x00"), push + u64(2) + sized("blob.new") + "\x00",
		`{"type":"push","seq":2,"command":"blob.new","payload_base64":"AA=="}`},
	{"push/expiring", FromGateway, psh(0, "$expiring", `{"expires_in_ms":60000}`), push + u64(0) + sized("$expiring") + `{"expires_in_ms":60000}`,
		`{"type":"push","seq":0,"command":"$expiring","payload":{"expires_in_ms":60000}}`},

	{"ack/none yet", FromClient, Frame{Type: TypeAck}, ack + u64(0), `{"type":"ack","seq":0}`},
	{"ack/41", FromClient, Frame{Type: TypeAck, Seq: 41}, ack + u64(41), `{"type":"ack","seq":41}`},
	{"ack/highest", FromClient, Frame{Type: TypeAck, Seq: 1<<63 - 1}, ack + u64(1<<63-1), `{"type":"ack","seq":9223372036854775807}`},

	{"ping/gateway, empty", FromGateway, Frame{Type: TypePing}, ping, `{"type":"ping"}`},
	{"ping/client, empty", FromClient, Frame{Type: TypePing}, ping, `{"type":"ping"}`},
	{"ping/8 bytes", FromClient, Frame{Type: TypePing, Payload: []byte("\x00\x01\x02\x03\xfc\xfd\xfe\xff")},
		ping + "\x00\x01\x02\x03\xfc\xfd\xfe\xff", `{"type":"ping","data":"AAECA/z9/v8="}`},
	{"pong/client, 1 byte", FromClient, Frame{Type: TypePong, Payload: []byte("x")}, pong + "x", `{"type":"pong","data":"eA=="}`},
	{"pong/gateway, empty", FromGateway, Frame{Type: TypePong}, pong, `{"type":"pong"}`},

	{"close/no reason", FromClient, cls(CloseNormal, ""), closing + u16(1000), `{"type":"close","code":1000}`},
	{"close/kicked", FromGateway, cls(CloseKicked, "by an administrator"), closing + u16(4504) + "by an administrator",
		`{"type":"close","code":4504,"reason":"by an administrator"}`},
	{"close/longest reason", FromGateway, cls(CloseProtocolError, reason120), closing + u16(4500) + reason120,
		`{"type":"close","code":4500,"reason":"` + reason120 + `"}`},
	{"close/reason with every kind of character", FromGateway, cls(CloseInternal, "\"\\/\n\x00\x7f é 漢 😀"), closing + u16(4006) + "\"\\/\n\x00\x7f é 漢 😀",
		`{"type":"close","code":4006,"reason":"\"\\/\u000a\u0000` + "\x7f" + ` é 漢 😀"}`},
	{"close/a code without a name", FromGateway, cls(4321, ""), closing + u16(4321), `{"type":"close","code":4321}`},
	{"close/a WebSocket code", FromClient, cls(1001, "tab closed"), closing + u16(1001) + "tab closed", `{"type":"close","code":1001,"reason":"tab closed"}`},
	{"close/code 0", FromClient, cls(0, ""), closing + u16(0), `{"type":"close","code":0}`},
	{"close/highest code", FromClient, cls(65535, ""), closing + u16(65535), `{"type":"close","code":65535}`},
}

// binaryVectors bind a binary form to its frame both ways. Their JSON form, where
// there is one, is what the frame encodes to, but does not decode to the same
// payload bytes.
var binaryVectors = []frameVector{
	{"request/white space around a payload is not sent in JSON", FromClient, req(1, "a", " {\"a\":1}\r\n"),
		request + u32(1) + sized("a") + " {\"a\":1}\r\n", `{"type":"request","id":1,"command":"a","payload":{"a":1}}`},
	{"hello/least", FromClient, obj(TypeHello, `{}`), hello + `{}`, `{"type":"hello"}`},
	{"hello/token", FromClient, obj(TypeHello, `{"protocol":1,"token":"t"}`), hello + `{"protocol":1,"token":"t"}`, `{"type":"hello","protocol":1,"token":"t"}`},
	{"hello/white space around the object", FromClient, obj(TypeHello, "\n{ \"protocol\" : 1 }\n"), hello + "\n{ \"protocol\" : 1 }\n", `{"type":"hello","protocol" : 1 }`},
	{"hello/type named in the binary form too", FromClient, obj(TypeHello, `{"protocol":1,"type":"hello"}`),
		hello + `{"protocol":1,"type":"hello"}`, `{"protocol":1,"type":"hello"}`},
	{"hello/a name that only other frames have may repeat", FromClient, obj(TypeHello, `{"id":1,"id":2}`), hello + `{"id":1,"id":2}`, `{"type":"hello","id":1,"id":2}`},
	{"welcome/some", FromGateway, obj(TypeWelcome, `{"session":"s1","secret":"x1","window":64,"max_frame":65536}`),
		welcome + `{"session":"s1","secret":"x1","window":64,"max_frame":65536}`,
		`{"type":"welcome","session":"s1","secret":"x1","window":64,"max_frame":65536}`},
	{"goaway/some", FromGateway, obj(TypeGoAway, `{"code":4000,"reconnect_after_ms":1234}`),
		goAway + `{"code":4000,"reconnect_after_ms":1234}`, `{"type":"goaway","code":4000,"reconnect_after_ms":1234}`},
}

// jsonVectors are other ways to write a frame in JSON: they decode to the frame,
// which encodes differently.
var jsonVectors = []frameVector{
	{"hello/object kept whole", FromClient, obj(TypeHello, `{"type":"hello","protocol":1}`), "", ` {"type":"hello","protocol":1} `},
	{"goaway/object kept whole", FromGateway, obj(TypeGoAway, `{"code":4000,"type":"goaway"}`), "", `{"code":4000,"type":"goaway"}`},
	{"request/white space everywhere", FromClient, req(1, "a", `{ }`), "", "\t{ \"type\" : \"request\" ,\r\n\"id\" : 1 , \"command\" : \"a\" , \"payload\" : { } }\n"},
	{"request/any order, type last", FromClient, req(1, "a", `2`), "", `{"payload":2,"command":"a","id":1,"type":"request"}`},
	{"request/escapes in names and strings", FromClient, req(1, "msg.send", ""), "", `{"\u0074ype":"\u0072equest","id":1,"command":"msg\u002Esend"}`},
	{"request/unknown members", FromClient, req(1, "a", ""), "", `{"type":"request","id":1,"command":"a","x":[{"y":null}],"Payload":5}`},
	{"request/unknown members may repeat", FromClient, req(1, "a", ""), "", `{"type":"request","id":1,"command":"a","x":1,"x":2,"seq":1,"seq":"b"}`},
	{"request/base64 of nothing", FromClient, req(1, "a", ""), "", `{"type":"request","id":1,"command":"a","payload_base64":""}`},
	{"request/base64 of JSON", FromClient, req(1, "a", `{}`), "", `{"type":"request","id":1,"command":"a","payload_base64":"e30="}`},
	{"request/base64 with escaped slashes", FromClient, req(1, "a", "\xff\xff\xff"), "", `{"type":"request","id":1,"command":"a","payload_base64":"\/\/\/\/"}`},
	{"request/null base64 is an absent one", FromClient, req(1, "a", `1`), "", `{"type":"request","id":1,"command":"a","payload":1,"payload_base64":null}`},
	{"request/half a surrogate pair is the payload's affair", FromClient, req(1, "a", `"\ud800"`), "", `{"type":"request","id":1,"command":"a","payload":"\ud800"}`},
	{"reply/gateway false", FromGateway, rep(1, StatusOK, 0, ""), "", `{"type":"reply","id":1,"status":0,"gateway":false}`},
	{"reply/gateway null", FromGateway, rep(1, StatusOK, 0, ""), "", `{"type":"reply","id":1,"status":0,"gateway":null}`},
	{"ping/null data", FromClient, Frame{Type: TypePing}, "", `{"type":"ping","data":null}`},
	{"close/null reason", FromClient, cls(1000, ""), "", `{"type":"close","code":1000,"reason":null}`},
	{"close/every escape", FromClient, cls(1000, "\"\\/\b\f\n\r\té😀"), "", `{"type":"close","code":1000,"reason":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`},
	{"close/half a surrogate pair", FromClient, cls(1000, "a\uFFFDb\uFFFD\uFFFDA"), "", `{"type":"close","code":1000,"reason":"a\ud800b\udc00\ud800\u0041"}`},
}
