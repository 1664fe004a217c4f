package wire

import (
	"fmt"
	"strings"
)

// helloVector is HELLO's object. Code 0: it decodes to want.
type helloVector struct {
	name string
	json string
	want Hello
	code CloseCode
}

// attrs makes an object of n attrs named a00, a01... whose values are of size
// bytes.
func attrsObject(n, size int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(`"a%02d":%q`, i, strings.Repeat("v", size))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func attrsMap(n, size int) map[string]string {
	m := make(map[string]string)
	for i := range n {
		m[fmt.Sprintf("a%02d", i)] = strings.Repeat("v", size)
	}
	return m
}

var helloVectors = []helloVector{
	{"least", `{"protocol":1}`, Hello{Protocol: 1}, 0},
	{"token", `{"protocol":1,"token":"t"}`, Hello{Protocol: 1, Token: "t", HasToken: true}, 0},
	{"token empty", `{"protocol":1,"token":""}`, Hello{Protocol: 1, HasToken: true}, 0},
	{"null means absent", `{"protocol":1,"ticket":null,"token":null,"device":null,"attrs":null,"resume":null}`, Hello{Protocol: 1}, 0},
	{"everything", `{"protocol":1,"ticket":"k","token":"t",
 "device":{"id":"d1","class":"ios","model":"m","os":"o","app":"a","version":"5.2.0"},
 "attrs":{"k":"v","":"漢"},"resume":{"session":"s","secret":"x","seq":41}}`,
		Hello{Protocol: 1, Ticket: "k", Token: "t", HasToken: true,
			Device: &Device{ID: "d1", Class: "ios", Model: "m", OS: "o", App: "a", Version: "5.2.0"},
			Attrs:  map[string]string{"k": "v", "": "漢"}, Resume: &Resume{Session: "s", Secret: "x", Seq: 41}}, 0},
	{"unknown members", `{"protocol":1,"x":{},"x":[],"Token":"t","device":{"y":1}}`, Hello{Protocol: 1, Device: &Device{}}, 0},
	{"type named", `{"type":"hello","protocol":1}`, Hello{Protocol: 1}, 0},
	{"escapes", `{"protocol":1,"\u0074oken":"\ud83d\ude00\n"}`, Hello{Protocol: 1, Token: "😀\n", HasToken: true}, 0},
	{"longest ticket", `{"protocol":1,"ticket":"` + strings.Repeat("k", 2048) + `"}`, Hello{Protocol: 1, Ticket: strings.Repeat("k", 2048)}, 0},
	{"longest token", `{"protocol":1,"token":"` + strings.Repeat("t", 8192) + `"}`, Hello{Protocol: 1, Token: strings.Repeat("t", 8192), HasToken: true}, 0},
	{"most attrs", `{"protocol":1,"attrs":` + attrsObject(16, 61) + `}`, Hello{Protocol: 1, Attrs: attrsMap(16, 61)}, 0},
	{"no attrs", `{"protocol":1,"attrs":{}}`, Hello{Protocol: 1}, 0},
	{"resume without a push received", `{"protocol":1,"resume":{"session":"s","secret":"x"}}`, Hello{Protocol: 1, Resume: &Resume{Session: "s", Secret: "x"}}, 0},
	{"longest device text", `{"protocol":1,"device":{"model":"` + strings.Repeat("m", 128) + `"}}`, Hello{Protocol: 1, Device: &Device{Model: strings.Repeat("m", 128)}}, 0},

	{"version absent", `{}`, Hello{}, CloseUnsupportedVersion},
	{"version 0", `{"protocol":0}`, Hello{}, CloseUnsupportedVersion},
	{"version 2", `{"protocol":2}`, Hello{}, CloseUnsupportedVersion},
	{"version 2, whose other members may differ", `{"protocol":2,"token":{"alg":"x"},"device":7}`, Hello{}, CloseUnsupportedVersion},
	{"version beyond 64 bits", `{"protocol":18446744073709551617}`, Hello{}, CloseUnsupportedVersion},
	{"version null", `{"protocol":null}`, Hello{}, CloseUnsupportedVersion},
	{"version in quotes", `{"protocol":"1"}`, Hello{}, CloseUnsupportedVersion},
	{"version with a fraction", `{"protocol":1.0}`, Hello{}, CloseUnsupportedVersion},

	{"array", `[1]`, Hello{}, CloseProtocolError},
	{"empty", ``, Hello{}, CloseProtocolError},
	{"not JSON", `{"protocol":1`, Hello{}, CloseProtocolError},
	{"text behind", `{"protocol":1} {}`, Hello{}, CloseProtocolError},
	{"not UTF-8", "{\"protocol\":1,\"token\":\"\xff\"}", Hello{}, CloseProtocolError},
	{"version twice", `{"protocol":1,"protocol":1}`, Hello{}, CloseProtocolError},
	{"token twice", `{"protocol":1,"token":"a","token":"a"}`, Hello{}, CloseProtocolError},
	{"token a number", `{"protocol":1,"token":7}`, Hello{}, CloseProtocolError},
	{"ticket too long", `{"protocol":1,"ticket":"` + strings.Repeat("k", 2049) + `"}`, Hello{}, CloseProtocolError},
	{"token too long", `{"protocol":1,"token":"` + strings.Repeat("t", 8193) + `"}`, Hello{}, CloseProtocolError},
	{"attrs an array", `{"protocol":1,"attrs":[]}`, Hello{}, CloseProtocolError},
	{"attr a number", `{"protocol":1,"attrs":{"a":1}}`, Hello{}, CloseProtocolError},
	{"attr null", `{"protocol":1,"attrs":{"a":null}}`, Hello{}, CloseProtocolError},
	{"attr twice", `{"protocol":1,"attrs":{"a":"1","a":"1"}}`, Hello{}, CloseProtocolError},
	{"17 attrs", `{"protocol":1,"attrs":` + attrsObject(17, 1) + `}`, Hello{}, CloseProtocolError},
	{"1025 bytes of attrs", `{"protocol":1,"attrs":{"k":"` + strings.Repeat("v", 1024) + `"}}`, Hello{}, CloseProtocolError},
	{"device a string", `{"protocol":1,"device":"ios"}`, Hello{}, CloseProtocolError},
	{"device class of another name", `{"protocol":1,"device":{"class":"toaster"}}`, Hello{}, CloseProtocolError},
	{"device text too long", `{"protocol":1,"device":{"id":"` + strings.Repeat("d", 129) + `"}}`, Hello{}, CloseProtocolError},
	{"device id twice", `{"protocol":1,"device":{"id":"a","id":"b"}}`, Hello{}, CloseProtocolError},
	{"resume a string", `{"protocol":1,"resume":"s"}`, Hello{}, CloseProtocolError},
	{"resume without a session", `{"protocol":1,"resume":{"secret":"x","seq":1}}`, Hello{}, CloseProtocolError},
	{"resume with an empty secret", `{"protocol":1,"resume":{"session":"s","secret":"","seq":1}}`, Hello{}, CloseProtocolError},
	{"resume with a negative seq", `{"protocol":1,"resume":{"session":"s","secret":"x","seq":-1}}`, Hello{}, CloseProtocolError},
	{"resume with a seq of 64 bits", `{"protocol":1,"resume":{"session":"s","secret":"x","seq":9223372036854775808}}`, Hello{}, CloseProtocolError},
	{"resume with a long session", `{"protocol":1,"resume":{"session":"` + strings.Repeat("s", 129) + `","secret":"x","seq":1}}`, Hello{}, CloseProtocolError},
}

// welcomeVector is WELCOME's object. Refused is true when a client must not
// believe it.
type welcomeVector struct {
	name    string
	json    string
	want    Welcome
	refused bool
}

var welcomeVectors = []welcomeVector{
	{"usual", `{"session":"s","secret":"x","uid":"1001","resumed":false,"gateway":"gw-1",` +
		`"return_to":{"tcp":"203.0.113.7:7000","ws":"gw-1.example.com:443"},` +
		`"heartbeat_ms":25000,"heartbeat_timeout_ms":8000,"request_timeout_ms":10000,` +
		`"window":64,"max_frame":65536,"resume_ttl_ms":60000,"last_request_id":0,"time_ms":1790000000000}`,
		Welcome{Session: "s", Secret: "x", UID: "1001", Gateway: "gw-1",
			ReturnTo:    map[string]string{"tcp": "203.0.113.7:7000", "ws": "gw-1.example.com:443"},
			HeartbeatMS: 25000, HeartbeatTimeoutMS: 8000, RequestTimeoutMS: 10000,
			Window: 64, MaxFrame: 65536, ResumeTTLMS: 60000, TimeMS: 1790000000000}, false},
	{"resumed, on long poll", `{"session":"s","secret":"y","uid":"u","resumed":true,"gateway":"g",` +
		`"heartbeat_ms":0,"heartbeat_timeout_ms":0,"request_timeout_ms":1,"window":1,"max_frame":1,` +
		`"resume_ttl_ms":0,"last_request_id":4294967295,"time_ms":9007199254740991,"poll_ms":15000}`,
		Welcome{Session: "s", Secret: "y", UID: "u", Resumed: true, Gateway: "g", RequestTimeoutMS: 1, Window: 1, MaxFrame: 1,
			LastRequestID: 1<<32 - 1, TimeMS: 1<<53 - 1, PollMS: 15000}, false},
	{"unknown members", `{"session":"s","secret":"x","window":1,"max_frame":100,"x":1}`, Welcome{Session: "s", Secret: "x", Window: 1, MaxFrame: 100}, false},
	{"no session", `{"secret":"x","window":1,"max_frame":100}`, Welcome{}, true},
	{"no window", `{"session":"s","secret":"x","max_frame":100}`, Welcome{}, true},
	{"window 0", `{"session":"s","secret":"x","window":0,"max_frame":100}`, Welcome{}, true},
	{"max_frame of 16 MiB", `{"session":"s","secret":"x","window":1,"max_frame":16777216}`, Welcome{}, true},
	{"duration beyond 31 bits", `{"session":"s","secret":"x","window":1,"max_frame":100,"heartbeat_ms":2147483648}`, Welcome{}, true},
	{"time beyond 53 bits", `{"session":"s","secret":"x","window":1,"max_frame":100,"time_ms":9007199254740992}`, Welcome{}, true},
	{"resumed a number", `{"session":"s","secret":"x","window":1,"max_frame":100,"resumed":1}`, Welcome{}, true},
	{"return_to not strings", `{"session":"s","secret":"x","window":1,"max_frame":100,"return_to":{"tcp":1}}`, Welcome{}, true},
}

type goAwayVector struct {
	name    string
	json    string
	want    GoAway
	refused bool
}

var goAwayVectors = []goAwayVector{
	{"drain", `{"code":4000,"reason":"draining","deadline_ms":30000,"reconnect_after_ms":1234,` +
		`"endpoints":[{"gateway":"gw-2","transport":"tcp","address":"203.0.113.7:7000"},{"gateway":"gw-3","transport":"ws","address":"gw-3.example.com:443"}],"ticket":"k"}`,
		GoAway{Code: CloseDraining, Reason: "draining", DeadlineMS: 30000, ReconnectAfterMS: 1234,
			Endpoints: []Endpoint{{"gw-2", "tcp", "203.0.113.7:7000"}, {"gw-3", "ws", "gw-3.example.com:443"}}, Ticket: "k"}, false},
	{"refusal that asks to wait", `{"code":4003,"deadline_ms":0,"reconnect_after_ms":5000}`, GoAway{Code: CloseOverloaded, ReconnectAfterMS: 5000}, false},
	{"no endpoints", `{"code":4000,"endpoints":[ ]}`, GoAway{Code: CloseDraining}, false},
	{"no code", `{"reconnect_after_ms":5000}`, GoAway{}, true},
	{"endpoints an object", `{"code":4000,"endpoints":{}}`, GoAway{}, true},
	{"endpoint a string", `{"code":4000,"endpoints":["x"]}`, GoAway{}, true},
	{"endpoint without an address", `{"code":4000,"endpoints":[{"gateway":"g","transport":"tcp"}]}`, GoAway{}, true},
}

type errorVector struct {
	name    string
	json    string
	want    ErrorPayload
	refused bool
}

var errorVectors = []errorVector{
	{"to be sent again", `{"message":"no instance of msg","reason":"no_instance","retry_after_ms":500}`, ErrorPayload{"no instance of msg", "no_instance", 500}, false},
	{"for good", `{"message":"no route","reason":"no_route"}`, ErrorPayload{"no route", "no_route", 0}, false},
	{"bare", `{}`, ErrorPayload{}, false},
	{"not an object", `"no route"`, ErrorPayload{}, true},
	{"message a number", `{"message":1}`, ErrorPayload{}, true},
}

// commandVectors say what a command may be, and what not.
var commandVectors = map[bool][]string{
	true:  {"a", "msg.send", "0", "_", ".", "-", "a-b_c.9", "$time", "$refresh", "$a.b", command64, "$" + command64[1:]},
	false: {"", "$", "$$a", "a$", "A", "a b", "a/b", "é", "a\x00", "\xff", "a\n", " a", command64 + "a", "$" + command64},
}
