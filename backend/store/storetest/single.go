package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/backend/store"
)

func testRoundTrip(t *testing.T, s Store) {
	drafts := []store.Draft{
		{Sender: "1001", Receiver: "1002", ClientMsgID: "c1", Type: "text", Content: []byte(`"hello"`)},
		{Sender: "1002", Receiver: "1001", ClientMsgID: "c1", Type: "image", Content: []byte(`{ "a" : [1, null],"b":"\u0000\ud83d\ude00"}`)},
		{Sender: "1001", Receiver: "1002", ClientMsgID: "c2", Type: "x.y", Content: []byte(`null`)},
		{Sender: "1001", Receiver: "1002", ClientMsgID: "c3", Type: "text", Content: []byte(`"` + strings.Repeat("é", 16<<10) + `"`)},
	}
	var want []store.Entry
	for i, d := range drafts {
		st := send(t, s, d)
		if st.Repeated || st.Seq != int64(i+1) || st.FromPosition != int64(i+1) || st.ToPosition != int64(i+1) {
			t.Fatalf("Send %d = repeated %v seq %d positions %d, %d, want a new message with %d each",
				i, st.Repeated, st.Seq, st.FromPosition, st.ToPosition, i+1)
		}
		if st.Conversation <= 0 || st.ID <= 0 || st.TimeMS <= 0 {
			t.Fatalf("Send %d = conversation %d id %d time %d, want positive ones", i, st.Conversation, st.ID, st.TimeMS)
		}
		m := store.Message{ID: st.ID, Conversation: st.Conversation, Seq: st.Seq, From: d.Sender, To: d.Receiver,
			ClientMsgID: d.ClientMsgID, Type: d.Type, Content: d.Content, TimeMS: st.TimeMS}
		if diff := cmp.Diff(m, st.Message); diff != "" {
			t.Errorf("Send %d: message differs (-want +got):\n%s", i, diff)
		}
		want = append(want, store.Entry{Position: st.ToPosition, Message: m})
	}
	for _, uid := range []string{"1001", "1002"} {
		if diff := cmp.Diff(want, timeline(t, s, uid)); diff != "" {
			t.Errorf("timeline of %s differs (-want +got):\n%s", uid, diff)
		}
	}
}

func testRepeat(t *testing.T, s Store) {
	first := send(t, s, draft("a", "b", "c1"))
	send(t, s, draft("a", "b", "c2"))
	other := draft("a", "z", "c1") // whatever it says now
	other.Content, other.Type = []byte(`1`), "other"
	for _, d := range []store.Draft{draft("a", "b", "c1"), other} {
		st, err := s.Send(context.Background(), d, func(store.Stored) { t.Error("committed called for a repeat") })
		if err != nil {
			t.Fatalf("Send again = %v", err)
		}
		want := store.Stored{Repeated: true, Message: store.Message{
			ID: first.ID, Conversation: first.Conversation, Seq: first.Seq, TimeMS: first.TimeMS}}
		if diff := cmp.Diff(want, st); diff != "" {
			t.Errorf("Send again differs (-want +got):\n%s", diff)
		}
	}
	for uid, want := range map[string]int{"a": 2, "b": 2, "z": 0} {
		if got := len(timeline(t, s, uid)); got != want {
			t.Errorf("timeline of %s has %d entries, want %d", uid, got, want)
		}
	}
	if st := send(t, s, draft("b", "a", "c1")); st.Repeated || st.Seq != 3 {
		t.Errorf("the same client id of another sender = repeated %v seq %d, want new with 3", st.Repeated, st.Seq)
	}
}

func testNoteToSelf(t *testing.T, s Store) {
	for i := range int64(3) {
		st := send(t, s, draft("a", "a", string('x'+rune(i))))
		if st.FromPosition != i+1 || st.ToPosition != i+1 || st.Seq != i+1 {
			t.Errorf("note %d = seq %d positions %d, %d", i, st.Seq, st.FromPosition, st.ToPosition)
		}
	}
	wantContinuous(t, "a", timeline(t, s, "a"))
	if got := len(timeline(t, s, "a")); got != 3 {
		t.Errorf("timeline has %d entries, want 3", got)
	}
}

// testBytewise uses pairs that collations, blank padding or normalisation of
// one database or another take for equal.
func testBytewise(t *testing.T, s Store) {
	names := []string{"a", "A", "a ", "ä", "a\u0308", "ａ", "ß", "ss", strings.Repeat("é", 32)}
	conversations := map[int64]string{}
	for _, n := range names {
		st := send(t, s, draft(n, "hub", "c"))
		if st.Repeated || st.Seq != 1 {
			t.Errorf("first message of %q = repeated %v seq %d", n, st.Repeated, st.Seq)
		}
		if was, ok := conversations[st.Conversation]; ok {
			t.Errorf("%q and %q share a conversation", n, was)
		}
		conversations[st.Conversation] = n
		if got := timeline(t, s, n); len(got) != 1 || got[0].From != n {
			t.Errorf("timeline of %q = %+v, want its own message", n, got)
		}
	}
	for _, id := range names[1:] {
		if st := send(t, s, draft("sender", "hub", id)); st.Repeated {
			t.Errorf("client id %q is taken for another", id)
		}
	}
}

func testPages(t *testing.T, s Store) {
	for i := range 10 {
		send(t, s, draft("a", "b", string('0'+rune(i))))
	}
	tests := []struct {
		after       int64
		limit       int
		first, last int64 // 0: none
		more        bool
	}{
		{0, 3, 1, 3, true},
		{3, 3, 4, 6, true},
		{7, 3, 8, 10, false},
		{0, 10, 1, 10, false},
		{0, 9, 1, 9, true},
		{0, 500, 1, 10, false},
		{10, 5, 0, 0, false},
		{1 << 52, 5, 0, 0, false},
	}
	for _, tt := range tests {
		p := store.Page{UID: "b", After: tt.after, Limit: tt.limit, ContentBytesMax: 1 << 20}
		got, more, err := s.Pull(context.Background(), p)
		if err != nil {
			t.Fatalf("Pull(%+v) = %v", p, err)
		}
		var first, last int64
		if len(got) > 0 {
			first, last = got[0].Position, got[len(got)-1].Position
		}
		if first != tt.first || last != tt.last || more != tt.more {
			t.Errorf("Pull(after %d, limit %d) = %d to %d, more %v, want %d to %d, %v",
				tt.after, tt.limit, first, last, more, tt.first, tt.last, tt.more)
		}
	}
	if got, more, err := s.Pull(context.Background(), store.Page{UID: "nobody", Limit: 5, ContentBytesMax: 10}); len(got) != 0 || more || err != nil {
		t.Errorf("Pull of an unknown user = %d entries, more %v, %v", len(got), more, err)
	}
}

func testPageBytes(t *testing.T, s Store) {
	for i := range 4 {
		d := draft("a", "b", string('0'+rune(i)))
		d.Content = []byte(`"` + strings.Repeat("x", 98) + `"`)
		send(t, s, d)
	}
	for limit, want := range map[int]int{1: 1, 99: 1, 100: 1, 199: 1, 200: 2, 399: 3, 400: 4, 9999: 4} {
		got, more, err := s.Pull(context.Background(), store.Page{UID: "b", Limit: 100, ContentBytesMax: limit})
		if err != nil || len(got) != want || more != (want < 4) {
			t.Errorf("Pull(%d bytes) = %d entries, more %v, %v, want %d", limit, len(got), more, err, want)
		}
	}
}

func testGoneCaller(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Send(ctx, draft("a", "b", "c"), nil); !errors.Is(err, store.ErrNotStored) {
		t.Errorf("Send with a done context = %v, want ErrNotStored", err)
	}
	if got := timeline(t, s, "b"); len(got) != 0 {
		t.Errorf("timeline has %d entries, want none", len(got))
	}
	if _, _, err := s.Pull(ctx, store.Page{UID: "b", Limit: 1}); err == nil {
		t.Error("Pull with a done context succeeded")
	}
}
