package wire

import (
	"unicode/utf16"
	"unicode/utf8"
)

// unescape decodes what stands between the quotes of a string that was
// scanned. Without a backslash in it, which is usual, it is raw itself; else it
// is fresh memory. Half a surrogate pair becomes U+FFFD.
func unescape(raw []byte) []byte {
	i := indexBackslash(raw)
	if i == len(raw) {
		return raw
	}
	out := append(make([]byte, 0, len(raw)), raw[:i]...)
	for i < len(raw) {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		if raw[i+1] != 'u' {
			out = append(out, shortEscape(raw[i+1]))
			i += 2
			continue
		}
		r, n := longEscape(raw[i:])
		out = utf8.AppendRune(out, r)
		i += n
	}
	return out
}

func indexBackslash(b []byte) int {
	for i, c := range b {
		if c == '\\' {
			return i
		}
	}
	return len(b)
}

// shortEscape is what a backslash and c stand for.
func shortEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default: // " \ /
		return c
	}
}

// longEscape decodes the \uXXXX that b begins with, together with the second
// half of a surrogate pair, and reports how many bytes it took.
func longEscape(b []byte) (r rune, n int) {
	r, _ = hex4(b[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		low, _ := hex4(b[8:])
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hex4 decodes four hexadecimal digits.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// appendString appends s as a JSON string. What is not UTF-8 in it becomes
// U+FFFD; only quotes, backslashes and control characters are escaped.
func appendString[T []byte | string](dst []byte, s T) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := decodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}

// decodeRune is utf8.DecodeRune for either kind of text, without a copy.
func decodeRune[T []byte | string](s T) (rune, int) {
	var head [utf8.UTFMax]byte
	return utf8.DecodeRune(head[:copy(head[:], s)])
}

// parseUint decodes a whole number without sign, fraction or exponent. It
// expects a value that was scanned.
func parseUint(raw []byte) (n uint64, ok bool) {
	if len(raw) == 0 || len(raw) > 20 {
		return 0, false
	}
	for _, c := range raw {
		if !isDigit(c) {
			return 0, false
		}
		d := uint64(c - '0')
		if n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
