// Package storetest checks the promises of package store. Each implementation
// runs the same suite.
package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/holdfast-io/holdfast/backend/store"
)

// Store is what the suite needs, the same as the logic service does.
type Store interface {
	Send(ctx context.Context, d store.Draft, committed func(store.Stored)) (store.Stored, error)
	Pull(ctx context.Context, p store.Page) (entries []store.Entry, more bool, err error)
}

// Run runs the suite. factory gives an empty store that the test's end closes.
func Run(t *testing.T, factory func(t *testing.T) Store) {
	tests := []struct {
		name string
		run  func(t *testing.T, s Store)
	}{
		{"a message is kept as it was sent", testRoundTrip},
		{"a repeat stores nothing and answers as before", testRepeat},
		{"a note to oneself stands once in the timeline", testNoteToSelf},
		{"texts are compared byte by byte", testBytewise},
		{"of concurrent repeats one is stored", testConcurrentRepeats},
		{"sequences and positions are continuous under concurrency", testConcurrentSenders},
		{"no position becomes visible before a smaller one", testVisibleInOrder},
		{"committed is called once a message, in order", testCommittedOrder},
		{"pages", testPages},
		{"a page ends at its bytes", testPageBytes},
		{"a caller that is gone stores nothing", testGoneCaller},
		{"any history agrees with the model", testModel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, factory(t)) })
	}
}

// draft returns a draft with the client id and a small content naming it.
func draft(from, to, id string) store.Draft {
	return store.Draft{Sender: from, Receiver: to, ClientMsgID: id, Type: "text",
		Content: fmt.Appendf(nil, "%q", from+">"+to+" "+id)}
}

func send(t *testing.T, s Store, d store.Draft) store.Stored {
	t.Helper()
	st, err := s.Send(context.Background(), d, nil)
	if err != nil {
		t.Fatalf("Send(%s>%s %s) = %v", d.Sender, d.Receiver, d.ClientMsgID, err)
	}
	return st
}

// timeline pulls all of uid's timeline in pages of 7.
func timeline(t *testing.T, s Store, uid string) []store.Entry {
	t.Helper()
	var all []store.Entry
	for more := true; more; {
		p := store.Page{UID: uid, Limit: 7, ContentBytesMax: 1 << 20}
		if len(all) > 0 {
			p.After = all[len(all)-1].Position
		}
		var entries []store.Entry
		var err error
		if entries, more, err = s.Pull(context.Background(), p); err != nil {
			t.Fatalf("Pull(%+v) = %v", p, err)
		}
		if more && len(entries) == 0 {
			t.Fatalf("Pull(%+v) = no entries but more", p)
		}
		all = append(all, entries...)
	}
	return all
}

// wantContinuous checks that positions are 1, 2, 3 ... and ids increase.
func wantContinuous(t *testing.T, uid string, entries []store.Entry) {
	t.Helper()
	for i, e := range entries {
		if e.Position != int64(i+1) {
			t.Fatalf("timeline of %s: entry %d has position %d", uid, i, e.Position)
		}
		if i > 0 && e.ID <= entries[i-1].ID {
			t.Fatalf("timeline of %s: id %d at position %d follows %d", uid, e.ID, e.Position, entries[i-1].ID)
		}
	}
}
