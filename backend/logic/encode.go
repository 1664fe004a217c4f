package logic

import (
	"strconv"

	"github.com/holdfast-io/holdfast/backend/store"
)

// pullBytesAround is what the reply to a pull has around its items.
const pullBytesAround = len(`{"items":[],"more":false}`)

// The payloads are written by hand: one allocation each, the content copied as it
// is, and the order of keys as documented.

// appendText appends s as a JSON string. Names and types have no control
// characters and are valid UTF-8, so two characters need an escape.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// appendID appends an id as a JSON string: ids have more digits than a client's
// numbers.
func appendID(b []byte, id int64) []byte {
	b = append(b, '"')
	b = strconv.AppendInt(b, id, 10)
	return append(b, '"')
}

func appendNumber(b []byte, key string, n int64) []byte {
	b = append(b, key...)
	return strconv.AppendInt(b, n, 10)
}

// sendReply is the reply to msg.send.
func sendReply(st store.Stored) []byte {
	b := append(make([]byte, 0, 128), `{"msg_id":`...)
	b = appendID(b, st.ID)
	b = append(b, `,"conversation":`...)
	b = appendID(b, st.Conversation)
	b = appendNumber(b, `,"seq":`, st.Seq)
	b = appendNumber(b, `,"time_ms":`, st.TimeMS)
	return append(b, '}')
}

// appendItem appends a message as msg.new and msg.pull show it.
func appendItem(b []byte, position int64, m *store.Message) []byte {
	b = appendNumber(b, `{"position":`, position)
	b = append(b, `,"msg_id":`...)
	b = appendID(b, m.ID)
	b = append(b, `,"conversation":`...)
	b = appendID(b, m.Conversation)
	b = appendNumber(b, `,"seq":`, m.Seq)
	b = append(b, `,"from":`...)
	b = appendText(b, m.From)
	b = append(b, `,"to":`...)
	b = appendText(b, m.To)
	b = append(b, `,"client_msg_id":`...)
	b = appendText(b, m.ClientMsgID)
	b = append(b, `,"type":`...)
	b = appendText(b, m.Type)
	b = append(b, `,"content":`...)
	b = append(b, m.Content...)
	b = appendNumber(b, `,"time_ms":`, m.TimeMS)
	return append(b, '}')
}

// newItem is the payload of the push msg.new.
func newItem(position int64, m *store.Message) []byte {
	return appendItem(make([]byte, 0, len(m.Content)+320), position, m)
}

// pullReply is the reply to msg.pull. It ends early, saying that there is more,
// before the item with which it would be larger than bytesMax; the first item is
// always there.
func pullReply(entries []store.Entry, more bool, bytesMax int) []byte {
	b := append(make([]byte, 0, 4096), `{"items":[`...)
	for i := range entries {
		end := len(b)
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, entries[i].Position, &entries[i].Message)
		if i > 0 && len(b)+len(`],"more":false}`) > bytesMax {
			b, more = b[:end], true
			break
		}
	}
	b = append(b, `],"more":`...)
	b = strconv.AppendBool(b, more)
	return append(b, '}')
}
