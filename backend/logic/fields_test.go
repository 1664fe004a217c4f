package logic

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/backend/store"
)

func TestParseSend(t *testing.T) {
	const rest = `,"client_msg_id":"c1","type":"text","content":"x"}`
	long := strings.Repeat("u", 64)
	tests := []struct {
		name, payload string
		want          store.Draft
		err           string // "": accepted
	}{
		{"all fields", `{"to":"1002"` + rest, store.Draft{Receiver: "1002", ClientMsgID: "c1", Type: "text", Content: []byte(`"x"`)}, ""},
		{"longest names", `{"to":"` + long + `"` + rest, store.Draft{Receiver: long, ClientMsgID: "c1", Type: "text", Content: []byte(`"x"`)}, ""},
		{"unknown fields are ignored", `{"To":"9","x":[],"to":"1002"` + rest, store.Draft{Receiver: "1002", ClientMsgID: "c1", Type: "text", Content: []byte(`"x"`)}, ""},
		{"escapes", `{"to":"\u00e9\"\\","client_msg_id":"\ud83d\ude00","type":"A.b_c-9","content":null}`,
			store.Draft{Receiver: `é"\`, ClientMsgID: "😀", Type: "A.b_c-9", Content: []byte(`null`)}, ""},
		{"content of any kind, compacted", ` { "content" : { "a" : [ 1.50e+3, "\u0000 <&>" , true ] } ,"to":"1","client_msg_id":"c","type":"t"} `,
			store.Draft{Receiver: "1", ClientMsgID: "c", Type: "t", Content: []byte(`{"a":[1.50e+3,"\u0000 <&>",true]}`)}, ""},
		{"content at the limit", `{"to":"1","client_msg_id":"c","type":"t","content":"` + strings.Repeat("x", 98) + `"}`,
			store.Draft{Receiver: "1", ClientMsgID: "c", Type: "t", Content: []byte(`"` + strings.Repeat("x", 98) + `"`)}, ""},

		{"empty", ``, store.Draft{}, "payload: not a JSON object"},
		{"null", `null`, store.Draft{}, "payload: not a JSON object"},
		{"a list", `[]`, store.Draft{}, "payload: not a JSON object"},
		{"a text", `"to"`, store.Draft{}, "payload: not a JSON object"},
		{"cut short", `{"to":"1002"`, store.Draft{}, "payload: not a JSON object"},
		{"two objects", `{}{}`, store.Draft{}, "payload: not a JSON object"},
		{"broken UTF-8 in content", "{\"to\":\"1\",\"client_msg_id\":\"c\",\"type\":\"t\",\"content\":\"\xff\"}", store.Draft{}, "payload: not valid UTF-8"},
		{"too deep", `{"content":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, store.Draft{}, "payload: not a JSON object"},

		{"no to", `{"x":1` + rest, store.Draft{}, "to: missing"},
		{"to by another case", `{"TO":"1002"` + rest, store.Draft{}, "to: missing"},
		{"to a number", `{"to":1002` + rest, store.Draft{}, "to: not a text"},
		{"to null", `{"to":null` + rest, store.Draft{}, "to: not a text"},
		{"to empty", `{"to":""` + rest, store.Draft{}, "to: empty"},
		{"to too long", `{"to":"` + long + `u"` + rest, store.Draft{}, "to: 65 bytes, at most 64"},
		{"to with a control character", `{"to":"a\u0000b"` + rest, store.Draft{}, "to: contains the character U+0000"},
		{"to with half a character", `{"to":"\ud800"` + rest, store.Draft{}, "to: contains the character U+FFFD"},
		{"no client_msg_id", `{"to":"1"}`, store.Draft{}, "client_msg_id: missing"},
		{"client_msg_id too long", `{"to":"1","client_msg_id":"` + long + `é"}`, store.Draft{}, "client_msg_id: 66 bytes, at most 64"},
		{"no type", `{"to":"1","client_msg_id":"c"}`, store.Draft{}, "type: missing"},
		{"type empty", `{"to":"1","client_msg_id":"c","type":""}`, store.Draft{}, "type: 0 bytes, want 1 to 32"},
		{"type too long", `{"to":"1","client_msg_id":"c","type":"` + strings.Repeat("t", 33) + `"}`, store.Draft{}, "type: 33 bytes, want 1 to 32"},
		{"type with a blank", `{"to":"1","client_msg_id":"c","type":"a b"}`, store.Draft{}, "type: want only a-z A-Z 0-9 . _ -"},
		{"no content", `{"to":"1","client_msg_id":"c","type":"t"}`, store.Draft{}, "content: missing"},
		{"content too long", `{"to":"1","client_msg_id":"c","type":"t","content":"` + strings.Repeat("x", 99) + `"}`, store.Draft{}, "content: 101 bytes, at most 100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSend("me", []byte(tt.payload), 100)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("parseSend = %v, want %s", err, tt.err)
				}
				return
			}
			tt.want.Sender = "me"
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("parseSend = %v, differs (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestParsePull(t *testing.T) {
	tests := []struct {
		payload string
		after   int64
		limit   int
		err     string
	}{
		{``, 0, 100, ""},
		{`{}`, 0, 100, ""},
		{`{"after":9007199254740991,"limit":500}`, 1<<53 - 1, 500, ""},
		{`{"after":0,"limit":1,"more":"ignored"}`, 0, 1, ""},
		{`[]`, 0, 0, "payload: not a JSON object"},
		{`{"after":-1}`, 0, 0, "after: want a whole number from 0 to 9007199254740991"},
		{`{"after":9007199254740992}`, 0, 0, "after: want a whole number from 0 to 9007199254740991"},
		{`{"after":99999999999999999999}`, 0, 0, "after: want a whole number from 0 to 9007199254740991"},
		{`{"after":1.5}`, 0, 0, "after: want a whole number from 0 to 9007199254740991"},
		{`{"after":"1"}`, 0, 0, "after: want a whole number from 0 to 9007199254740991"},
		{`{"after":null}`, 0, 0, "after: want a whole number from 0 to 9007199254740991"},
		{`{"limit":0}`, 0, 0, "limit: want a whole number from 1 to 500"},
		{`{"limit":501}`, 0, 0, "limit: want a whole number from 1 to 500"},
	}
	for _, tt := range tests {
		p, err := parsePull("me", []byte(tt.payload))
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("parsePull(%s) = %v, want %s", tt.payload, err, tt.err)
			}
		} else if want := (store.Page{UID: "me", After: tt.after, Limit: tt.limit}); err != nil || p != want {
			t.Errorf("parsePull(%s) = %+v, %v, want %+v", tt.payload, p, err, want)
		}
	}
}

// FuzzParseSend holds it to what the encoder and the store rely on: whatever is
// accepted comes back as the same values in valid JSON.
func FuzzParseSend(f *testing.F) {
	for _, s := range []string{
		`{"to":"1002","client_msg_id":"c1","type":"text","content":"hello"}`,
		`{"to":"é\"\\","client_msg_id":"\ud83d\ude00","type":"A.b","content":{"a":[null, 1e9]}}`,
		`{"to":"\u2028","client_msg_id":"\u007f","type":"t","content":0}`,
		`{}`, `[`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := parseSend("me", in, 1000)
		if err != nil {
			return
		}
		m := store.Message{ID: 1, Conversation: 2, Seq: 3, From: d.Sender, To: d.Receiver,
			ClientMsgID: d.ClientMsgID, Type: d.Type, Content: d.Content, TimeMS: 4}
		checkItem(t, newItem(5, &m), 5, m)
		if n := len(newItem(5, &m)); n > itemBytesMax+len(m.Content) {
			t.Fatalf("item of %d bytes for a content of %d", n, len(m.Content))
		}
	})
}
