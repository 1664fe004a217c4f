package websocket

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

const testLimit = 1000

// ruleTests are the rules of RFC 6455 one by one, by section, with the text of
// JSON connections; binary ones differ where the name says so.
var ruleTests = []struct {
	name   string
	binary bool
	in     string
	want   outcome
}{
	// 5.2, 5.6: messages.
	{name: "the RFC's example", in: "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", want: say(message("Hello"))},
	{name: "empty message", in: sent(wholeText, ""), want: say(message(""))},
	{name: "125 bytes", in: sent(wholeText, long(125)), want: say(message(long(125)))},
	{name: "126 bytes", in: sent(wholeText, long(126)), want: say(message(long(126)))},
	{name: "binary", binary: true, in: sent(wholeBin, "\xff\x00"), want: say(message("\xff\x00"))},
	{name: "two messages", in: sent(wholeText, "a") + sent(wholeText, "b"), want: say(message("a"), message("b"))},
	{name: "text where binary was agreed on", binary: true, in: wholeText, want: say().fault(1003)},
	{name: "binary where text was agreed on", in: wholeBin, want: say().fault(1003)},
	{name: "binary fragment where text was agreed on", in: bin, want: say().fault(1003)},
	{name: "message, then a fault", in: sent(wholeText, "a") + "\x83", want: say(message("a")).fault(1002)},

	// 5.2: heads.
	{name: "RSV1", in: "\xc1", want: say().fault(1002)},
	{name: "RSV2", in: "\xa1", want: say().fault(1002)},
	{name: "RSV3", in: "\x91", want: say().fault(1002)},
	{name: "RSV1 in a continuation", in: sent(text, "a") + "\xc0", want: say().fault(1002)},
	{name: "RSV1 in a ping", in: "\xc9", want: say().fault(1002)},
	{name: "unknown data opcode", in: "\x83", want: say().fault(1002)},
	{name: "unknown control opcode", in: "\x8b", want: say().fault(1002)},
	{name: "not masked", in: "\x81\x01", want: say().fault(1002)},
	{name: "ping that is not masked", in: "\x89\x00", want: say().fault(1002)},
	{name: "continuation that is not masked", in: sent(text, "a") + "\x80\x01", want: say().fault(1002)},
	{name: "125 bytes in 2 bytes of length", in: "\x81\xfe\x00\x7d", want: say().fault(1002)},
	{name: "0 bytes in 2 bytes of length", in: "\x81\xfe\x00\x00", want: say().fault(1002)},
	{name: "126 bytes in 8 bytes of length", in: "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x7e", want: say().fault(1002)},
	{name: "65535 bytes in 8 bytes of length", in: "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff", want: say().fault(1002)},
	{name: "length with the top bit", in: "\x81\xff\x80\x00\x00\x00\x00\x01\x00\x00", want: say().fault(1002)},
	{name: "length of all ones", in: "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", want: say().fault(1002)},
	{name: "longest length", in: "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", want: say().fault(4501)},

	// 5.4: fragmentation.
	{name: "two fragments", in: sent(text, "Hel") + sent(lastCont, "lo"), want: say(message("Hello"))},
	{name: "empty fragments", in: sent(text, "") + sent(cont, "") + sent(lastCont, ""), want: say(message(""))},
	{name: "empty fragments around", in: sent(text, "") + sent(cont, "a") + sent(lastCont, ""), want: say(message("a"))},
	{name: "all in the last fragment", in: sent(text, "") + sent(lastCont, "abc"), want: say(message("abc"))},
	{name: "binary fragments", binary: true, in: sent(bin, "\xff") + sent(lastCont, "\xfe"), want: say(message("\xff\xfe"))},
	{name: "a message after fragments", in: sent(text, "a") + sent(lastCont, "b") + sent(wholeText, "c"), want: say(message("ab"), message("c"))},
	{name: "control frames inside", in: sent(text, "a") + sent(ping, "1") + sent(cont, "b") + sent(pong, "2") + sent(lastCont, "c"),
		want: say(seen{kind: Ping, text: "1"}, seen{kind: Pong, text: "2"}, message("abc"))},
	{name: "close inside", in: sent(text, "a") + sent(closes, ""), want: say(seen{kind: Close, code: 1005})},
	{name: "last continuation of nothing", in: lastCont, want: say().fault(1002)},
	{name: "continuation of nothing", in: cont, want: say().fault(1002)},
	{name: "continuation of what is over", in: sent(text, "a") + sent(lastCont, "b") + cont, want: say(message("ab")).fault(1002)},
	{name: "continuation of a whole message", in: sent(wholeText, "a") + lastCont, want: say(message("a")).fault(1002)},
	{name: "message inside a message", in: sent(text, "a") + wholeText, want: say().fault(1002)},
	{name: "fragment inside a message", in: sent(text, "") + text, want: say().fault(1002)},
	{name: "other kind inside a message", in: sent(text, "a") + bin, want: say().fault(1002)},
	{name: "most fragments", in: sent(text, "a") + strings.Repeat(sent(cont, ""), 1022) + sent(lastCont, "b"), want: say(message("ab"))},
	{name: "too many fragments", in: sent(text, "a") + strings.Repeat(sent(cont, ""), 1023) + lastCont, want: say().fault(1009)},
	{name: "pings are no fragments", in: sent(text, "") + strings.Repeat(sent(cont, "")+sent(pong, ""), 1022) + sent(lastCont, ""),
		want: say(append(repeated(seen{kind: Pong}, 1022), message(""))...)},

	// 5.5: control frames.
	{name: "ping", in: sent(ping, "data"), want: say(seen{kind: Ping, text: "data"})},
	{name: "empty ping", in: sent(ping, ""), want: say(seen{kind: Ping})},
	{name: "ping that is not UTF-8", in: sent(ping, "\xff"), want: say(seen{kind: Ping, text: "\xff"})},
	{name: "longest ping", in: sent(ping, long(125)), want: say(seen{kind: Ping, text: long(125)})},
	{name: "longer ping", in: "\x89\xfe", want: say().fault(1002)},
	{name: "much longer pong", in: "\x8a\xff", want: say().fault(1002)},
	{name: "longer close", in: "\x88\xfe", want: say().fault(1002)},
	{name: "fragmented ping", in: "\x09", want: say().fault(1002)},
	{name: "fragmented pong", in: "\x0a", want: say().fault(1002)},
	{name: "fragmented close", in: "\x08", want: say().fault(1002)},

	// 5.5.1, 7.4: Close.
	{name: "close", in: sent(closes, closing(1000, "bye")), want: say(seen{Close, "bye", 1000})},
	{name: "close of the protocol", in: sent(closes, closing(4009, "")), want: say(seen{Close, "", 4009})},
	{name: "close without a code", in: sent(closes, ""), want: say(seen{Close, "", 1005})},
	{name: "close with half a code", in: "\x88\x81", want: say().fault(1002)},
	{name: "longest reason", in: sent(closes, closing(1001, long(123))), want: say(seen{Close, long(123), 1001})},
	{name: "reason that is not UTF-8", in: sent(closes, closing(1000, "\xce\xba\xff")), want: say().fault(1007)},
	{name: "reason that ends inside a character", in: sent(closes, closing(1000, "\xce")), want: say().fault(1007)},
	{name: "a wrong code before a wrong reason", in: sent(closes, closing(1005, "\xff")), want: say().fault(1002)},
	{name: "what comes after a close", in: sent(closes, "") + sent(ping, "") + "\xff\xff", want: say(seen{Close, "", 1005})},

	// 8.1: UTF-8.
	{name: "characters of every length", in: sent(wholeText, "aκ€😀"), want: say(message("aκ€😀"))},
	{name: "character across fragments", in: sent(text, "\xf0") + sent(cont, "\x9f\x98") + sent(cont, "") + sent(lastCont, "\x80"), want: say(message("😀"))},
	{name: "wrong", in: sent(wholeText, "a\xff"), want: say().fault(1007)},
	{name: "wrong in the first fragment", in: sent(text, "\xff"), want: say().fault(1007)},
	{name: "wrong across fragments", in: sent(text, "\xce") + "\x00\x82" + testMask + masked("a"), want: say().fault(1007)},
	{name: "wrong with a ping between", in: sent(text, "\xce") + sent(ping, "") + "\x00\x82" + testMask + masked("a"), want: say(seen{kind: Ping}).fault(1007)},
	{name: "unfinished character", in: sent(wholeText, "a\xe2\x82"), want: say().fault(1007)},
	{name: "unfinished character in fragments", in: sent(text, "\xe2") + sent(lastCont, "\x82"), want: say().fault(1007)},
	{name: "unfinished character before an empty end", in: sent(text, "\xe2\x82") + sent(lastCont, ""), want: say().fault(1007)},
	{name: "wrong before the frame's end", in: "\x81\x8a" + testMask + masked("a\xff"), want: say().fault(1007)},
	{name: "surrogate before the frame's end", in: "\x81\x8a" + testMask + masked("\xed\xa0"), want: say().fault(1007)},
	{name: "overlong before the frame's end", in: "\x81\x8a" + testMask + masked("\xe0\x9f"), want: say().fault(1007)},
	{name: "beyond Unicode before the frame's end", in: "\x81\x8a" + testMask + masked("\xf4\x90"), want: say().fault(1007)},

	// The protocol's own limit.
	{name: "longest", in: sent(wholeText, long(1000)), want: say(message(long(1000)))},
	{name: "longer", in: "\x81\xfe\x03\xe9", want: say().fault(4501)},
	{name: "longest in fragments", in: sent(text, long(600)) + sent(cont, long(399)) + sent(lastCont, "a"), want: say(message(long(1000)[:999] + "a"))},
	{name: "longer in fragments", in: sent(text, long(600)) + "\x00\xfe\x01\x91", want: say().fault(4501)},
	{name: "longer by one byte", in: sent(text, long(600)) + sent(cont, long(400)) + "\x80\x81", want: say().fault(4501)},
	{name: "a sum beyond 64 bits", in: sent(text, "a") + "\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff", want: say().fault(4501)},
	{name: "the limit is each message's", in: strings.Repeat(sent(wholeText, long(999)), 3), want: say(repeated(message(long(999)), 3)...)},
}

func long(n int) string { return strings.Repeat("x", n) }

func repeated(s seen, n int) []seen {
	all := make([]seen, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// TestRules holds the decoder, and the reference it is fuzzed against, to each
// rule, whole, a byte at a time and cut at random. A refused stream ends with the
// byte that must be enough to refuse it.
func TestRules(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6455, 0))
	for _, tt := range ruleTests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want.code != 0 {
				tt.want.at = len(tt.in)
			}
			expect(t, "reference", reference(tt.in, !tt.binary, testLimit), tt.want)
			expect(t, "whole", run(t, !tt.binary, testLimit, tt.in), tt.want)
			expect(t, "bytewise", run(t, !tt.binary, testLimit, bytewise(tt.in)...), tt.want)
			for range 10 {
				pieces := cutAtRandom(rnd, tt.in, 1+rnd.IntN(30))
				expect(t, "cut at random", run(t, !tt.binary, testLimit, pieces...), tt.want)
			}
		})
	}
}

func expect(t *testing.T, how string, got, want outcome) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v\nwant %v", how, got, want)
	}
}

// TestEveryFirstByte walks all 256, at the start and inside a message.
func TestEveryFirstByte(t *testing.T) {
	for c := range 256 {
		for _, before := range []string{"", sent(text, "a")} {
			for _, asText := range []bool{true, false} {
				in := before + sent(string([]byte{byte(c)}), "")
				want := reference(in, asText, testLimit)
				expect(t, "bytewise", run(t, asText, testLimit, bytewise(in)...), want)
				want.at = min(want.at, 1) * len(in)
				expect(t, "whole", run(t, asText, testLimit, in), want)
			}
		}
	}
}

// TestEveryCloseCode walks all 65,536.
func TestEveryCloseCode(t *testing.T) {
	for code := range 1 << 16 {
		ok := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		d := NewDecoder(true, 0)
		ev, _, err := d.Next([]byte(sent(closes, closing(uint16(code), ""))))
		if ok && (err != nil || ev.Kind != Close || ev.Code != uint16(code)) {
			t.Fatalf("code %d: event %v %d, error %v", code, ev.Kind, ev.Code, err)
		}
		if fault, _ := err.(*Fault); !ok && (fault == nil || fault.Code != 1002) {
			t.Fatalf("code %d: error %v, want 1002", code, err)
		}
	}
}

// TestEveryTwoBytesOfText walks all beginnings of characters in a message that
// goes on: those that nothing can complete are refused on the spot.
func TestEveryTwoBytesOfText(t *testing.T) {
	for c := range 1 << 16 {
		in := "\x01\x83" + testMask + masked(string([]byte{byte(c >> 8), byte(c)}))
		want := reference(in, true, testLimit)
		expect(t, "bytewise", run(t, true, testLimit, bytewise(in)...), want)
		if t.Failed() {
			t.Fatalf("%04x", c)
		}
	}
}

// TestDeclaredIsNotAllocated: a length costs nothing before its bytes come, and
// a byte at a time costs little more than they are.
func TestDeclaredIsNotAllocated(t *testing.T) {
	const limit = 16 << 20
	d := NewDecoder(false, limit)
	in := []byte("\x82\xff\x00\x00\x00\x00\x01\x00\x00\x00" + testMask)
	if ev, n, err := d.Next(in); ev.Kind != None || n != len(in) || err != nil || cap(d.message) != 0 {
		t.Fatalf("a head of 16 MiB: %v, %d, %v, %d bytes of memory, want none", ev.Kind, n, err, cap(d.message))
	}
	for range 5000 {
		if _, _, err := d.Next([]byte{0}); err != nil {
			t.Fatal(err)
		}
		checkBuffers(t, d, limit)
	}
	rest := make([]byte, limit-5000)
	ev, n, err := d.Next(rest)
	if ev.Kind != Message || len(ev.Payload) != limit || n != len(rest) || err != nil {
		t.Fatalf("the rest: %v of %d bytes, %d, %v", ev.Kind, len(ev.Payload), n, err)
	}
	if d.message != nil {
		t.Error("the message is kept")
	}
}

// TestTinyFragments: a long message that goes on in fragments of a byte is not
// copied for each of them.
func TestTinyFragments(t *testing.T) {
	const limit = 1 << 20
	first, rest := sent(bin, long(1<<19)), strings.Repeat(sent(cont, "x"), 1000)
	buf := make([]byte, len(first)+len(rest))
	if n := testing.AllocsPerRun(5, func() {
		d := NewDecoder(false, limit)
		copy(buf, first+rest)
		if ev, n, err := d.Next(buf); ev.Kind != None || n != len(buf) || err != nil {
			t.Fatalf("Next = %v, %d, %v", ev.Kind, n, err)
		}
	}); n > 5 {
		t.Errorf("1000 fragments of a byte allocate %v times, want a few", n)
	}
}

// TestLimitBelowZero admits empty messages alone.
func TestLimitBelowZero(t *testing.T) {
	expect(t, "empty", run(t, true, -1, sent(wholeText, "")), say(message("")))
	o := run(t, true, -1, sent(wholeText, "a"))
	if o.code != CloseTooLarge {
		t.Errorf("a byte: %d, want %d", o.code, CloseTooLarge)
	}
}
