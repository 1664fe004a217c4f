package logic

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/backend/store"
)

// wireItem is a message as a client reads it.
type wireItem struct {
	Position     int64           `json:"position"`
	MsgID        string          `json:"msg_id"`
	Conversation string          `json:"conversation"`
	Seq          int64           `json:"seq"`
	From         string          `json:"from"`
	To           string          `json:"to"`
	ClientMsgID  string          `json:"client_msg_id"`
	Type         string          `json:"type"`
	Content      json.RawMessage `json:"content"`
	TimeMS       int64           `json:"time_ms"`
}

func checkItem(t *testing.T, payload []byte, position int64, m store.Message) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(payload)))
	dec.DisallowUnknownFields()
	var got wireItem
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("item %q: %v", payload, err)
	}
	want := wireItem{position, fmt.Sprint(m.ID), fmt.Sprint(m.Conversation), m.Seq, m.From, m.To,
		m.ClientMsgID, m.Type, m.Content, m.TimeMS}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("item %q differs (-want +got):\n%s", payload, diff)
	}
}

func TestEncode(t *testing.T) {
	m := store.Message{ID: 2137453345123456789, Conversation: 4611686018427387904, Seq: 3, From: "1001",
		To: `a"b\c`, ClientMsgID: "é/<>&", Type: "text", Content: []byte(`{"a":1}`), TimeMS: 1790000000000}
	want := `{"position":7,"msg_id":"2137453345123456789","conversation":"4611686018427387904","seq":3,` +
		`"from":"1001","to":"a\"b\\c","client_msg_id":"é/<>&","type":"text","content":{"a":1},"time_ms":1790000000000}`
	if got := string(newItem(7, &m)); got != want {
		t.Errorf("newItem = %s\nwant %s", got, want)
	}
	checkItem(t, newItem(7, &m), 7, m)
	want = `{"msg_id":"2137453345123456789","conversation":"4611686018427387904","seq":3,"time_ms":1790000000000}`
	if got := string(sendReply(store.Stored{Message: m})); got != want {
		t.Errorf("sendReply = %s\nwant %s", got, want)
	}
}

func TestPullReplyIsBounded(t *testing.T) {
	if got := string(pullReply(nil, false, 100)); got != `{"items":[],"more":false}` {
		t.Errorf("pullReply of nothing = %s", got)
	}
	var entries []store.Entry
	for i := range int64(5) {
		entries = append(entries, store.Entry{Position: i + 1, Message: store.Message{ID: 1, From: "a", To: "b", Content: []byte(`1`)}})
	}
	whole := len(pullReply(entries, false, 1<<20))
	for bytesMax := range whole + 10 {
		var got struct {
			Items []wireItem
			More  bool
		}
		reply := pullReply(entries, false, bytesMax)
		if err := json.Unmarshal(reply, &got); err != nil {
			t.Fatalf("pullReply(%d bytes) = %s: %v", bytesMax, reply, err)
		}
		n := len(got.Items)
		if n == 0 || n > 1 && len(reply) > bytesMax {
			t.Fatalf("pullReply(%d bytes) = %d items in %d bytes", bytesMax, n, len(reply))
		}
		if got.More != (n < 5) || got.Items[n-1].Position != int64(n) {
			t.Fatalf("pullReply(%d bytes) = %d items, more %v, last %d", bytesMax, n, got.More, got.Items[n-1].Position)
		}
		if next := whole - (5-n-1)*(whole-len(`{"items":[],"more":false}`)+1)/5; n < 5 && next <= bytesMax-1 {
			t.Fatalf("pullReply(%d bytes) = %d items, but %d bytes hold one more", bytesMax, n, next)
		}
	}
	if got := pullReply(entries, true, 1<<20); !strings.HasSuffix(string(got), `"more":true}`) {
		t.Errorf("pullReply with more behind = %s", got)
	}
}

func TestItemAllocatesOnce(t *testing.T) {
	m := store.Message{ID: 2137453345123456789, Conversation: 4611686018427387904, Seq: 3, From: "1001",
		To: "1002", ClientMsgID: "c1", Type: "text", Content: []byte(`"hello"`), TimeMS: 1790000000000}
	if n := testing.AllocsPerRun(100, func() { newItem(7, &m) }); n != 1 {
		t.Errorf("newItem allocates %v times, want 1", n)
	}
}
