package storetest

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/holdfast-io/holdfast/backend/store"
)

// model is the least code that gives the answers a store must give.
type model struct {
	sent      map[[2]string]store.Message // by sender and client id
	seqs      map[[2]string]int64         // by pair
	timelines map[string][]string         // contents
}

func (m *model) send(d store.Draft) (msg store.Message, repeated bool) {
	key := [2]string{d.Sender, d.ClientMsgID}
	if was, ok := m.sent[key]; ok {
		return was, true
	}
	pair := [2]string{min(d.Sender, d.Receiver), max(d.Sender, d.Receiver)}
	m.seqs[pair]++
	msg = store.Message{Seq: m.seqs[pair], Content: d.Content}
	m.sent[key] = msg
	m.timelines[d.Sender] = append(m.timelines[d.Sender], string(d.Content))
	if d.Sender != d.Receiver {
		m.timelines[d.Receiver] = append(m.timelines[d.Receiver], string(d.Content))
	}
	return msg, false
}

// testModel plays random histories on one store; each history has users of its
// own, since making a store for each costs a hundred times more.
func testModel(t *testing.T, s Store) {
	history := 0
	rapid.Check(t, func(rt *rapid.T) {
		history++
		base := fmt.Sprintf("h%d-", history) // not drawn: a shrinking rapid draws it again
		m := &model{sent: map[[2]string]store.Message{}, seqs: map[[2]string]int64{}, timelines: map[string][]string{}}
		user := rapid.SampledFrom([]string{base + "1", base + "2", base + "3"})
		for range rapid.IntRange(1, 12).Draw(rt, "messages") {
			d := draft(user.Draw(rt, "from"), user.Draw(rt, "to"), rapid.StringMatching(`[a-f]`).Draw(rt, "id"))
			playSend(rt, s, m, d)
		}
		for _, n := range []string{"1", "2", "3"} {
			playPull(rt, s, base+n, m.timelines[base+n])
		}
	})
}

func playSend(rt *rapid.T, s Store, m *model, d store.Draft) {
	want, repeated := m.send(d)
	got, err := s.Send(context.Background(), d, nil)
	if err != nil || got.Repeated != repeated || got.Seq != want.Seq {
		rt.Fatalf("Send(%s>%s %s) = seq %d repeated %v, %v, want %d, %v",
			d.Sender, d.Receiver, d.ClientMsgID, got.Seq, got.Repeated, err, want.Seq, repeated)
	}
	if repeated {
		return
	}
	if n := int64(len(m.timelines[d.Sender])); got.FromPosition != n {
		rt.Fatalf("position of sender %s = %d, want %d", d.Sender, got.FromPosition, n)
	}
	if n := int64(len(m.timelines[d.Receiver])); got.ToPosition != n {
		rt.Fatalf("position of receiver %s = %d, want %d", d.Receiver, got.ToPosition, n)
	}
}

func playPull(rt *rapid.T, s Store, uid string, want []string) {
	after := rapid.IntRange(0, len(want)).Draw(rt, "after")
	limit := rapid.IntRange(1, 15).Draw(rt, "limit")
	got, more, err := s.Pull(context.Background(), store.Page{UID: uid, After: int64(after), Limit: limit, ContentBytesMax: 1 << 20})
	if err != nil {
		rt.Fatalf("Pull = %v", err)
	}
	n := min(limit, len(want)-after)
	if len(got) != n || more != (after+n < len(want)) {
		rt.Fatalf("Pull(%s after %d limit %d) = %d entries, more %v, of %d", uid, after, limit, len(got), more, len(want))
	}
	for i, e := range got {
		if e.Position != int64(after+i+1) || string(e.Content) != want[after+i] {
			rt.Fatalf("entry %d = position %d %s, want %d %s", i, e.Position, e.Content, after+i+1, want[after+i])
		}
	}
}
