package http1

import "net/http"

// fieldsMax bounds the fields of a head, and of a trailer. Each costs some 200
// bytes in a map, which four bytes on the wire would otherwise buy. Browsers send
// about 20.
const fieldsMax = 100

// lines judges a head, or the trailer behind a chunked body, a byte at a time, so
// that it makes no difference how the bytes arrive. Behind it every line ends
// with CRLF and every field has a name, a colon and a value of printable bytes.
type lines struct {
	bytes, column int
	fields        int
	request       bool // in the request line
	name          bool // before the colon of a field
	cr            bool // the last byte was CR
}

// scan takes bytes of b up to the empty line that ends the section. It takes all
// of b if that line has not come yet.
func (l *lines) scan(b []byte, bytesMax int) (n int, done bool, err *Error) {
	for i, c := range b {
		if l.bytes++; l.bytes > bytesMax {
			return 0, false, l.tooLong(bytesMax)
		}
		if c == '\n' && l.cr {
			if l.column == 0 && !l.request {
				return i + 1, true, nil
			}
			if err := l.endLine(); err != nil {
				return 0, false, err
			}
			continue
		}
		if err := l.take(c); err != nil {
			return 0, false, err
		}
	}
	return len(b), false, nil
}

// take judges a byte that does not end a line.
func (l *lines) take(c byte) *Error {
	switch {
	case l.cr:
		return refusef("line: CR without LF behind it")
	case c == '\r':
		l.cr = true
		return nil
	case c == '\n':
		return refusef("line: LF without CR before it")
	case c < ' ' && c != '\t', c == 0x7f:
		return refusef("line: a control character")
	case l.request:
		if c == '\t' || c > 0x7f {
			return refusef("request line: other than printable ASCII")
		}
	case l.name:
		if err := l.takeName(c); err != nil {
			return err
		}
	}
	l.column++
	return nil
}

// takeName judges a byte of a field's name, the colon included.
func (l *lines) takeName(c byte) *Error {
	switch {
	case l.column == 0 && (c == ' ' || c == '\t'):
		return refusef("field: folded onto a second line")
	case c == ':' && l.column > 0:
		l.name = false
		if l.fields++; l.fields > fieldsMax {
			return statusf(http.StatusRequestHeaderFieldsTooLarge, "fields: more than %d", fieldsMax)
		}
	case !isToken(c):
		return refusef("field name: other than the characters of a token")
	}
	return nil
}

// endLine judges a line that is not the empty one that ends the section.
func (l *lines) endLine() *Error {
	switch {
	case l.column == 0:
		return refusef("request line: empty")
	case l.name:
		return refusef("field: no colon")
	}
	l.request, l.name, l.cr, l.column = false, true, false, 0
	return nil
}

func (l *lines) tooLong(bytesMax int) *Error {
	if l.request {
		return statusf(http.StatusRequestURITooLong, "request line: more than %d bytes", bytesMax)
	}
	return statusf(http.StatusRequestHeaderFieldsTooLarge, "fields: more than %d bytes", bytesMax)
}

// isToken tells whether c may be in a method or a field's name (RFC 9110, 5.6.2).
func isToken(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}
