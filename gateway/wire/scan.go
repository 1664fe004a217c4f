package wire

import "unicode/utf8"

// fault says what is wrong with a JSON text; the set is closed.
type fault uint8

const (
	faultNone   fault = iota
	faultSyntax       // not RFC 8259
	faultDepth        // nests deeper than it may
)

// skipSpace returns the index of the first byte from i on that is not JSON
// white space, or len(b).
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the index behind the JSON value that begins at b[i] and
// may nest levels deep. With a fault the index is where it was noticed.
// It does not judge UTF-8: that is cheaper for a whole text at once.
func skipValue(b []byte, i, levels int) (int, fault) {
	if i >= len(b) {
		return i, faultSyntax
	}
	switch c := b[i]; {
	case c == '"':
		return skipString(b, i)
	case c == '-' || isDigit(c):
		return skipNumber(b, i)
	case c == '{' || c == '[':
		if levels == 0 {
			return i, faultDepth
		}
		if c == '{' {
			m := membersAt(b, i, levels-1)
			for m.next() {
			}
			return m.i, m.fault
		}
		return skipArray(b, i, levels-1)
	case c == 't':
		return skipWord(b, i, "true")
	case c == 'f':
		return skipWord(b, i, "false")
	case c == 'n':
		return skipWord(b, i, "null")
	default:
		return i, faultSyntax
	}
}

// skipArray skips the array that begins at b[i]; its elements may nest levels
// deep.
func skipArray(b []byte, i, levels int) (int, fault) {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, faultNone
	}
	for {
		end, bad := skipValue(b, i, levels)
		if bad != faultNone {
			return end, bad
		}
		i = skipSpace(b, end)
		switch {
		case i >= len(b):
			return i, faultSyntax
		case b[i] == ']':
			return i + 1, faultNone
		case b[i] != ',':
			return i, faultSyntax
		}
		i = skipSpace(b, i+1)
	}
}

// skipString skips the string whose opening quote is b[i].
func skipString(b []byte, i int) (int, fault) {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, faultNone
		case c < 0x20:
			return i, faultSyntax
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return i, faultSyntax
			}
			i += n - 1
		}
	}
	return i, faultSyntax
}

// escapeLen is the length of the escape that b begins with, 0 for none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

// skipNumber skips the number that begins at b[i].
func skipNumber(b []byte, i int) (int, fault) {
	if b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b) || !isDigit(b[i]):
		return i, faultSyntax
	case b[i] == '0': // no other digit may follow it
		i++
	default:
		i = skipDigits(b, i)
	}
	if i < len(b) && b[i] == '.' {
		start := i + 1
		if i = skipDigits(b, start); i == start {
			return i, faultSyntax
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start := i
		if i = skipDigits(b, start); i == start {
			return i, faultSyntax
		}
	}
	return i, faultNone
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// skipWord skips true, false or null.
func skipWord(b []byte, i int, word string) (int, fault) {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return i, faultSyntax
	}
	return i + len(word), faultNone
}

// validValue returns b without the white space around it when it is one JSON
// value that fits in a frame's member, else nil.
func validValue(b []byte) []byte {
	start := skipSpace(b, 0)
	end, bad := skipValue(b, start, JSONDepthMax)
	if bad != faultNone || skipSpace(b, end) != len(b) || !utf8.Valid(b) {
		return nil
	}
	return b[start:end]
}

// members walks over the members of an object:
//
//	m := membersAt(b, i, levels)
//	for m.next() { ... m.key, m.value ... }
//	if m.fault != faultNone { ... }
//
// key is what stands between the quotes, escapes and all; value is the
// member's value without white space around it. Both alias b. At the end
// without a fault i is the index behind the object.
type members struct {
	b          []byte
	i          int
	levels     int // how deep a value may nest
	begun      bool
	fault      fault
	key, value []byte
}

// membersAt begins at the object whose opening brace is b[i].
func membersAt(b []byte, i, levels int) members {
	return members{b: b, i: i, levels: levels}
}

// next finds the next member. It returns false at the end and at a fault.
func (m *members) next() bool {
	if !m.begun {
		m.begun = true
		if m.expect('{'); m.fault != faultNone {
			return false
		}
		if m.i < len(m.b) && m.b[m.i] == '}' {
			m.i++
			return false
		}
		return m.member()
	}
	switch {
	case m.i < len(m.b) && m.b[m.i] == '}':
		m.i++
		return false
	default:
		m.expect(',')
		return m.fault == faultNone && m.member()
	}
}

// member reads one member and the white space behind it.
func (m *members) member() bool {
	start := m.i
	if m.i >= len(m.b) || m.b[m.i] != '"' {
		m.fault = faultSyntax
		return false
	}
	if m.i, m.fault = skipString(m.b, start); m.fault != faultNone {
		return false
	}
	m.key = m.b[start+1 : m.i-1]
	m.i = skipSpace(m.b, m.i)
	if m.expect(':'); m.fault != faultNone {
		return false
	}
	start = m.i
	if m.i, m.fault = skipValue(m.b, start, m.levels); m.fault != faultNone {
		return false
	}
	m.value = m.b[start:m.i:m.i]
	m.i = skipSpace(m.b, m.i)
	return true
}

// expect takes the byte c and the white space behind it.
func (m *members) expect(c byte) {
	if m.i >= len(m.b) || m.b[m.i] != c {
		m.fault = faultSyntax
		return
	}
	m.i = skipSpace(m.b, m.i+1)
}
