package keys

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// NameBytesMax bounds a uid, and every other name that a client chooses.
const NameBytesMax = 64

// CheckUID says what is wrong with a uid, or nil.
func CheckUID(uid string) error { return CheckName(uid) }

// CheckName says what is wrong with a name: it has 1 to 64 bytes of valid UTF-8,
// without control characters and without U+FFFD. The latter stands for text that
// could not be decoded, so two different names might become one.
func CheckName(s string) error {
	switch {
	case s == "":
		return errors.New("empty")
	case len(s) > NameBytesMax:
		return fmt.Errorf("%d bytes, at most %d", len(s), NameBytesMax)
	case !utf8.ValidString(s):
		return errors.New("not valid UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return fmt.Errorf("contains the character %U", r)
		}
	}
	return nil
}
