package wire

import "encoding/base64"

// values decodes the members that collect found. The first error sticks, and
// what is decoded after it is zero, so a caller reads all members and then
// looks at err once.
type values struct {
	where string // the frame or object, for messages
	err   error
}

// fail keeps the first error.
func (v *values) fail(format string, args ...any) {
	if v.err == nil {
		v.err = refusef(v.where+" "+format, args...)
	}
}

// present reports whether an optional member is there: null counts as absent.
func present(raw []byte) bool { return raw != nil && raw[0] != 'n' }

// uint decodes an integer from lo to hi that must be there.
func (v *values) uint(name string, raw []byte, lo, hi uint64) uint64 {
	n, ok := parseUint(raw)
	if !ok || n < lo || n > hi {
		v.fail("%s: want an integer from %d to %d", name, lo, hi)
		return 0
	}
	return n
}

// optUint decodes an integer from 0 to hi that may be absent: 0.
func (v *values) optUint(name string, raw []byte, hi uint64) uint64 {
	if !present(raw) {
		return 0
	}
	return v.uint(name, raw, 0, hi)
}

// optMS decodes a duration in milliseconds that may be absent: 0.
func (v *values) optMS(name string, raw []byte) int64 {
	return int64(v.optUint(name, raw, DurationMSMax))
}

// optBool decodes a boolean that may be absent: false.
func (v *values) optBool(name string, raw []byte) bool {
	if !present(raw) {
		return false
	}
	if raw[0] != 't' && raw[0] != 'f' {
		v.fail("%s: want true or false", name)
	}
	return raw[0] == 't'
}

// bytes decodes a string of lo to hi bytes that must be there. The result
// aliases raw unless the string has escapes.
func (v *values) bytes(name string, raw []byte, lo, hi int) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		v.fail("%s: want a string", name)
		return nil
	}
	s := unescape(raw[1 : len(raw)-1])
	if len(s) < lo || len(s) > hi {
		v.fail("%s: %d bytes, want %d to %d", name, len(s), lo, hi)
		return nil
	}
	return s
}

// optBytes decodes a string of up to hi bytes that may be absent: nil.
func (v *values) optBytes(name string, raw []byte, hi int) []byte {
	if !present(raw) {
		return nil
	}
	return v.bytes(name, raw, 0, hi)
}

// text and optText are bytes and optBytes as strings of their own memory.
func (v *values) text(name string, raw []byte, hi int) string {
	return string(v.bytes(name, raw, 1, hi))
}

func (v *values) optText(name string, raw []byte, hi int) string {
	return string(v.optBytes(name, raw, hi))
}

// optBase64 decodes base64 that may be absent: nil. The result is memory of
// its own. The alphabet is the standard one, with padding and without line
// breaks, so that each value has one form.
func (v *values) optBase64(name string, raw []byte) []byte {
	s := v.optBytes(name, raw, FrameBytesMax)
	if len(s) == 0 {
		return nil
	}
	for _, c := range s {
		if c == '\r' || c == '\n' { // the decoder would skip them
			v.fail("%s: want standard base64 with padding", name)
			return nil
		}
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := strictBase64.Decode(out, s)
	if err != nil {
		v.fail("%s: want standard base64 with padding", name)
		return nil
	}
	return out[:n]
}

var strictBase64 = base64.StdEncoding.Strict()

// textMap decodes an object of strings, nil when it is absent or empty. It
// refuses a name that repeats, more than entries members, and more than total
// bytes of names and values together.
func (v *values) textMap(name string, raw []byte, entries, total int) map[string]string {
	if !present(raw) {
		return nil
	}
	if raw[0] != '{' {
		v.fail("%s: want an object of strings", name)
		return nil
	}
	out := make(map[string]string)
	size := 0
	m := membersAt(raw, 0, JSONDepthMax)
	for v.err == nil && m.next() {
		key := string(unescape(m.key))
		value := string(v.bytes(name+" value", m.value, 0, FrameBytesMax))
		if _, ok := out[key]; ok {
			v.fail("%s: a name repeats", name)
		}
		out[key] = value
		if size += len(key) + len(value); size > total {
			v.fail("%s: over %d bytes of names and values", name, total)
		}
		if len(out) > entries {
			v.fail("%s: more than %d", name, entries)
		}
	}
	if v.err != nil || len(out) == 0 {
		return nil
	}
	return out
}
