package websocket

import (
	"unicode/utf8"
)

// reference decodes a whole stream a byte at a time, as RFC 6455 reads, with no
// regard to speed or memory. at is how many bytes show the fault.
func reference(stream string, asText bool, limit int) (o outcome) {
	r := &reader{stream: stream}
	defer func() {
		switch e := recover().(type) {
		case nil, ended:
		case uint16:
			o.code, o.at = e, r.pos
		default:
			panic(e)
		}
	}()
	var whole, character string // of the message in progress
	frames := 0
	for {
		first := r.byte()
		op := first % 16
		control := op >= 8
		refuse(first/16%8 != 0, 1002)
		refuse(op != 0 && op != 1 && op != 2 && op != 8 && op != 9 && op != 10, 1002)
		refuse(control && first < 128, 1002)
		refuse(!control && (op == 0) != (frames > 0), 1002)
		refuse(op == 0 && frames == 1024, 1009)
		refuse(op == 1 && !asText || op == 2 && asText, 1003)
		second := r.byte()
		refuse(second < 128, 1002)
		n := uint64(second % 128)
		refuse(control && n > 125, 1002)
		refuse(op == 8 && n == 1, 1002)
		switch n {
		case 126:
			n = r.number(2)
			refuse(n < 126, 1002)
		case 127:
			n = r.number(8)
			refuse(n >= 1<<63 || n < 1<<16, 1002)
		}
		refuse(!control && (n > uint64(limit) || uint64(len(whole))+n > uint64(limit)), 4501)
		mask := []byte{r.byte(), r.byte(), r.byte(), r.byte()}
		if !control {
			frames++
		}
		payload := ""
		for i := range n {
			c := string([]byte{r.byte() ^ mask[i%4]})
			payload += c
			if asText && !control {
				// Of a frame that has come whole the decoder may tell later.
				character += c
				refuse(!beginsCharacters(character), 1007)
				if utf8.ValidString(character) {
					character = ""
				}
			}
		}
		switch {
		case op == 8:
			o.events = append(o.events, closed(payload))
			return o
		case op == 9:
			o.events = append(o.events, seen{kind: Ping, text: payload})
		case op == 10:
			o.events = append(o.events, seen{kind: Pong, text: payload})
		default:
			whole += payload
			if first < 128 {
				continue
			}
			refuse(character != "", 1007)
			o.events = append(o.events, message(whole))
			whole, frames = "", 0
		}
	}
}

func closed(payload string) seen {
	if payload == "" {
		return seen{kind: Close, code: 1005}
	}
	code := uint16(payload[0])<<8 + uint16(payload[1])
	switch {
	case code < 1000, code > 1003 && code < 1007, code > 1014 && code < 3000, code > 4999:
		panic(uint16(1002))
	case !utf8.ValidString(payload[2:]):
		panic(uint16(1007))
	}
	return seen{kind: Close, code: code, text: payload[2:]}
}

// beginsCharacters reports whether s is UTF-8, or some bytes make it so.
func beginsCharacters(s string) bool {
	if utf8.ValidString(s) {
		return true
	}
	if len(s) >= 4 {
		return false
	}
	for _, c := range "\u0080\u008f\u0090\u009f\u00a0\u00bf" { // where the rules for second bytes divide
		if beginsCharacters(s + string([]byte{byte(c)})) {
			return true
		}
	}
	return false
}

// ended is thrown where the stream ends, and a uint16 where it is refused.
type ended struct{}

func refuse(broken bool, code uint16) {
	if broken {
		panic(code)
	}
}

type reader struct {
	stream string
	pos    int
}

func (r *reader) byte() byte {
	if r.pos == len(r.stream) {
		panic(ended{})
	}
	r.pos++
	return r.stream[r.pos-1]
}

// number reads n bytes, big-endian.
func (r *reader) number(n int) (v uint64) {
	for range n {
		v = v<<8 + uint64(r.byte())
	}
	return v
}
