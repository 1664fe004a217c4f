package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-io/holdfast/backend/store"
)

// inParallel runs n calls of fn at once and waits for them.
func inParallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

func testConcurrentRepeats(t *testing.T, s Store) {
	const callers, messages = 8, 10
	got := make([][]store.Stored, callers)
	inParallel(callers, func(i int) {
		for m := range messages {
			st, err := s.Send(context.Background(), draft("a", "b", fmt.Sprint(m)), nil)
			if err != nil {
				t.Errorf("Send = %v", err)
				return
			}
			got[i] = append(got[i], st)
		}
	})
	if t.Failed() {
		return
	}
	for m := range messages {
		stored := 0
		for i := range callers {
			if !got[i][m].Repeated {
				stored++
			}
			if got[i][m].ID != got[0][m].ID || got[i][m].Seq != got[0][m].Seq {
				t.Errorf("message %d became %d and %d", m, got[0][m].ID, got[i][m].ID)
			}
		}
		if stored != 1 {
			t.Errorf("message %d was stored %d times", m, stored)
		}
	}
	if n := len(timeline(t, s, "b")); n != messages {
		t.Errorf("timeline has %d entries, want %d", n, messages)
	}
}

func testConcurrentSenders(t *testing.T, s Store) {
	const each = 15
	users := []string{"a", "b", "c", "d"}
	inParallel(len(users), func(i int) {
		for m := range each {
			to := users[(i+m)%len(users)] // itself too
			if _, err := s.Send(context.Background(), draft(users[i], to, fmt.Sprint(m)), nil); err != nil {
				t.Errorf("Send = %v", err)
			}
		}
	})
	seqs := map[int64]int64{} // conversation -> last seq, by one member
	for _, uid := range users {
		clear(seqs)
		entries := timeline(t, s, uid)
		wantContinuous(t, uid, entries)
		for _, e := range entries {
			if e.Seq != seqs[e.Conversation]+1 {
				t.Fatalf("timeline of %s: conversation %d goes from %d to %d", uid, e.Conversation, seqs[e.Conversation], e.Seq)
			}
			seqs[e.Conversation] = e.Seq
		}
	}
}

func testVisibleInOrder(t *testing.T, s Store) {
	const senders, each = 4, 20
	var done atomic.Bool
	var reader sync.WaitGroup
	reader.Go(func() {
		for last := int64(0); ; {
			end := done.Load() // before the pull, so that the last pull sees all
			entries, _, err := s.Pull(context.Background(), store.Page{UID: "hub", After: last, Limit: 500, ContentBytesMax: 1 << 20})
			if err != nil {
				t.Errorf("Pull = %v", err)
				return
			}
			for _, e := range entries {
				if e.Position != last+1 {
					t.Errorf("position %d was visible before %d", e.Position, last+1)
					return
				}
				last = e.Position
			}
			if end {
				if last != senders*each {
					t.Errorf("pulled up to %d, want %d", last, senders*each)
				}
				return
			}
		}
	})
	inParallel(senders, func(i int) {
		for m := range each {
			if _, err := s.Send(context.Background(), draft(fmt.Sprint("u", i), "hub", fmt.Sprint(m)), nil); err != nil {
				t.Errorf("Send = %v", err)
			}
		}
	})
	done.Store(true)
	reader.Wait()
}

func testCommittedOrder(t *testing.T, s Store) {
	const senders, each = 4, 15
	var mu sync.Mutex
	var positions []int64
	committed := func(st store.Stored) {
		mu.Lock()
		defer mu.Unlock()
		positions = append(positions, st.ToPosition)
	}
	inParallel(senders, func(i int) {
		for m := range each {
			// Every message twice: the second call must not be told of.
			for range 2 {
				if _, err := s.Send(context.Background(), draft(fmt.Sprint("u", i), "hub", fmt.Sprint(m)), committed); err != nil {
					t.Errorf("Send = %v", err)
				}
			}
		}
	})
	if len(positions) != senders*each {
		t.Fatalf("committed was called %d times, want %d", len(positions), senders*each)
	}
	for i, p := range positions {
		if p != int64(i+1) {
			t.Fatalf("committed call %d had position %d: %v", i, p, positions)
		}
	}
}
