package logic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/backend/store"
)

const (
	typeBytesMax = 32
	numberMax    = 1<<53 - 1 // beyond it not every client's numbers are exact
	pullDefault  = 100
	pullMax      = 500
)

// fields is the payload of a request: an object, whose keys are looked up by
// exactly their name. Keys that nobody looks up are ignored, so that a newer
// client can speak to an older service.
type fields map[string]json.RawMessage

func parseFields(payload []byte) (fields, error) {
	// The decoder would let broken text pass inside values, and receivers could not
	// read it.
	if !utf8.Valid(payload) {
		return nil, errors.New("payload: not valid UTF-8")
	}
	var f fields
	if err := json.Unmarshal(payload, &f); err != nil || f == nil {
		return nil, errors.New("payload: not a JSON object")
	}
	return f, nil
}

// text returns a field that must be a JSON string.
func (f fields) text(name string) (string, error) {
	raw, ok := f[name]
	if !ok {
		return "", fmt.Errorf("%s: missing", name)
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("%s: not a text", name)
	}
	return s, nil
}

// name returns a text within the limits of a name.
func (f fields) name(name string) (string, error) {
	s, err := f.text(name)
	if err != nil {
		return "", err
	}
	if err := keys.CheckName(s); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// number returns a whole number from least to most, or otherwise where the field
// is absent.
func (f fields) number(name string, least, most, otherwise int64) (int64, error) {
	raw, ok := f[name]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s: want a whole number from %d to %d", name, least, most)
	}
	return n, nil
}

// content returns any JSON value without the white space that means nothing.
func (f fields) content(name string, bytesMax int) ([]byte, error) {
	raw, ok := f[name]
	if !ok {
		return nil, fmt.Errorf("%s: missing", name)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil { // cannot be: raw has been parsed
		return nil, fmt.Errorf("%s: not JSON", name)
	}
	if b.Len() > bytesMax {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", name, b.Len(), bytesMax)
	}
	return b.Bytes(), nil
}

// msgType returns a text of 1 to 32 bytes of a-z A-Z 0-9 . _ -.
func (f fields) msgType(name string) (string, error) {
	s, err := f.text(name)
	if err != nil {
		return "", err
	}
	if s == "" || len(s) > typeBytesMax {
		return "", fmt.Errorf("%s: %d bytes, want 1 to %d", name, len(s), typeBytesMax)
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return "", fmt.Errorf("%s: want only a-z A-Z 0-9 . _ -", name)
		}
	}
	return s, nil
}

// parseSend reads the payload of msg.send. The error is for the client: it names
// the field and the limit.
func parseSend(sender string, payload []byte, contentBytesMax int) (store.Draft, error) {
	f, err := parseFields(payload)
	if err != nil {
		return store.Draft{}, err
	}
	d := store.Draft{Sender: sender}
	if d.Receiver, err = f.name("to"); err != nil {
		return d, err
	}
	if d.ClientMsgID, err = f.name("client_msg_id"); err != nil {
		return d, err
	}
	if d.Type, err = f.msgType("type"); err != nil {
		return d, err
	}
	d.Content, err = f.content("content", contentBytesMax)
	return d, err
}

// parsePull reads the payload of msg.pull, which may be empty.
func parsePull(uid string, payload []byte) (store.Page, error) {
	f, p := fields{}, store.Page{UID: uid}
	var err error
	if len(payload) > 0 {
		if f, err = parseFields(payload); err != nil {
			return p, err
		}
	}
	if p.After, err = f.number("after", 0, numberMax, 0); err != nil {
		return p, err
	}
	limit, err := f.number("limit", 1, pullMax, pullDefault)
	p.Limit = int(limit)
	return p, err
}
