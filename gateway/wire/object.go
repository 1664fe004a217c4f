package wire

import (
	"math/bits"
	"unicode/utf8"
)

// wholeObject returns a walk over b, which must be one JSON object and white
// space, after judging its UTF-8.
func wholeObject(where string, b []byte) (members, error) {
	if !utf8.Valid(b) {
		return members{}, refusef("%s: not UTF-8", where)
	}
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return members{}, refusef("%s: not a JSON object", where)
	}
	return membersAt(b, i, JSONDepthMax), nil
}

// ended judges a walk that next has ended.
func (m *members) ended(where string) error {
	switch {
	case m.fault == faultDepth:
		return refusef("%s: JSON nests deeper than %d at byte %d", where, JSONDepthMax, m.i)
	case m.fault != faultNone:
		return refusef("%s: not valid JSON at byte %d", where, m.i)
	}
	if i := skipSpace(m.b, m.i); i != len(m.b) {
		return refusef("%s: something follows the JSON object at byte %d", where, i)
	}
	return nil
}

// collect scans the whole object b and puts the raw value of each member that
// names lists at the same index of values. What is absent stays nil; other
// members are scanned and ignored; a listed member that repeats is refused.
func collect(where string, b []byte, names []string, values [][]byte) error {
	repeats, err := collectAll(where, b, names, values)
	if err != nil {
		return err
	}
	return repeats.refuse(where, names)
}

// nameSet is a set of indexes into a list of at most 32 names.
type nameSet uint32

// refuse refuses an object whose members repeat.
func (s nameSet) refuse(where string, names []string) error {
	if s == 0 {
		return nil
	}
	return refusef("%s: member %s repeats", where, names[bits.TrailingZeros32(uint32(s))])
}

// collectAll is collect for when it is not known yet which of the names count:
// it tells which repeat, and leaves it to the caller to refuse them.
func collectAll(where string, b []byte, names []string, values [][]byte) (repeats nameSet, err error) {
	m, err := wholeObject(where, b)
	if err != nil {
		return 0, err
	}
	for m.next() {
		i := indexName(names, m.key)
		if i < 0 {
			continue
		}
		if values[i] != nil {
			repeats |= 1 << i
		}
		values[i] = m.value
	}
	return repeats, m.ended(where)
}

// indexName finds a member's name, written with or without escapes.
func indexName(names []string, key []byte) int {
	key = unescape(key)
	for i, name := range names {
		if string(key) == name {
			return i
		}
	}
	return -1
}

// checkObject judges the object that a HELLO, WELCOME or GOAWAY carries, as far
// as the frame is concerned: it is one, and its member type, which a JSON frame
// needs and a binary one may have, is the frame's own.
func checkObject(t Type, b []byte) error {
	typ, err := objectType(t, b)
	if err == nil && typ != nil && !isName(typ, t) {
		err = refusef("type: not %s, the frame's own", t)
	}
	return err
}

var objectTypeNames = []string{"type"}

// objectType returns the raw member type of an object, nil when it has none.
func objectType(t Type, b []byte) ([]byte, error) {
	var typ [1][]byte
	err := collect(t.String(), b, objectTypeNames, typ[:])
	return typ[0], err
}

// isName reports whether raw is the JSON string of t's name.
func isName(raw []byte, t Type) bool {
	return len(raw) >= 2 && raw[0] == '"' && string(unescape(raw[1:len(raw)-1])) == t.String()
}
