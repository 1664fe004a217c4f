package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func openAt(t *testing.T, path string) *SQLite {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Path = path
	cfg.WriteWait = 30 * time.Second // a slow, loaded machine is no failure here
	s, err := OpenSQLite(context.Background(), cfg, prometheus.NewRegistry())
	if err != nil {
		t.Fatalf("OpenSQLite = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}

func open(t *testing.T) *SQLite { return openAt(t, filepath.Join(t.TempDir(), "im.db")) }

func text(from, to, id string) Draft {
	return Draft{Sender: from, Receiver: to, ClientMsgID: id, Type: "text", Content: []byte(`"x"`)}
}

// TestFilesAreNobodyElses looks at the companions too, which hold messages.
func TestFilesAreNobodyElses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name?#%41.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // an older, careless one
		t.Fatal(err)
	}
	s := openAt(t, path)
	if _, err := s.Send(t.Context(), text("a", "b", "1"), nil); err != nil {
		t.Fatalf("Send = %v", err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		fi, err := os.Stat(path + suffix)
		if err != nil {
			t.Errorf("Stat = %v", err)
		} else if fi.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s = %v, want 0600", fi.Name(), fi.Mode().Perm())
		}
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	s := openAt(t, path)
	first, err := s.Send(t.Context(), text("a", "b", "1"), nil)
	if err != nil {
		t.Fatalf("Send = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
	if _, err := s.Send(t.Context(), text("a", "b", "2"), nil); !errors.Is(err, ErrNotStored) {
		t.Errorf("Send after Close = %v, want ErrNotStored", err)
	}
	s = openAt(t, path)
	s.now = func() time.Time { return time.UnixMilli(first.TimeMS).Add(-time.Hour) } // the clock stepped back meanwhile
	second, err := s.Send(t.Context(), text("b", "a", "2"), nil)
	if err != nil || second.Seq != 2 || second.ToPosition != 2 || second.ID <= first.ID {
		t.Errorf("Send after reopening = %+v, %v, want seq 2, position 2, id above %d", second, err, first.ID)
	}
}

// TestConcurrentFirstStarts opens one new database many times at once, and then
// writes to it through all of them, as several processes would.
func TestConcurrentFirstStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	const n, each = 4, 5
	stores := make([]*SQLite, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { stores[i] = openAt(t, path) })
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i, s := range stores {
		wg.Go(func() {
			for m := range each {
				if _, err := s.Send(context.Background(), text(fmt.Sprint("u", i), "hub", fmt.Sprint(m)), nil); err != nil {
					t.Errorf("Send = %v", err)
				}
			}
		})
	}
	wg.Wait()
	entries, _, err := stores[0].Pull(t.Context(), Page{UID: "hub", Limit: 500, ContentBytesMax: 1 << 20})
	if err != nil || len(entries) != n*each {
		t.Fatalf("Pull = %d entries, %v, want %d", len(entries), err, n*each)
	}
	for i, e := range entries {
		if e.Position != int64(i+1) || i > 0 && e.ID <= entries[i-1].ID {
			t.Errorf("entry %d has position %d and id %d", i, e.Position, e.ID)
		}
	}
}

// breakWriter makes the statement q of the writer do instead what with says.
func breakWriter(t *testing.T, s *SQLite, q, with string) {
	t.Helper()
	st, err := s.w.conn.PrepareContext(context.Background(), with)
	if err != nil {
		t.Fatalf("prepare %s: %v", with, err)
	}
	if err := s.w.stmts[q].Close(); err != nil {
		t.Fatalf("close %s: %v", q, err)
	}
	s.w.stmts[q] = st
}

// TestFailures makes each step of a transaction fail: the error says what is
// known, nothing of the message remains, and the same message can be sent again.
func TestFailures(t *testing.T) {
	const refused = `INSERT INTO id_source (worker_id, last_id) VALUES (0, 0)` // there already
	for q, want := range map[string]error{
		"BEGIN IMMEDIATE": ErrNotStored,
		sqlAddMessage:     ErrNotStored,
		sqlAddEntry:       ErrNotStored,
		"COMMIT":          ErrUnknown,
	} {
		t.Run(q, func(t *testing.T) {
			s := open(t)
			if _, err := s.Send(t.Context(), text("a", "b", "1"), nil); err != nil {
				t.Fatalf("Send = %v", err)
			}
			args := ""
			if n := map[string]int{sqlAddMessage: 9, sqlAddEntry: 4}[q]; n > 0 {
				args = fmt.Sprintf(" RETURNING ?%d", n) // it takes as many arguments
			}
			breakWriter(t, s, q, refused+args)
			_, err := s.Send(t.Context(), text("a", "b", "2"), func(Stored) { t.Error("committed was called") })
			if !errors.Is(err, want) {
				t.Fatalf("Send = %v, want %v", err, want)
			}
			if s.w != nil {
				s.w.discard()
				s.w = nil
			}
			again, err := s.Send(t.Context(), text("a", "b", "2"), nil)
			if err != nil || again.Repeated || again.Seq != 2 || again.ToPosition != 2 {
				t.Errorf("Send again = %+v, %v, want a new message with seq 2, position 2", again, err)
			}
			o := map[error]outcome{ErrNotStored: outcomeNotStored, ErrUnknown: outcomeUnknown}[want]
			if got := testutil.ToFloat64(s.m.writes[o]); got != 1 {
				t.Errorf("writes with outcome %s = %v, want 1", o, got)
			}
		})
	}
}

// TestFullDisk runs into SQLite's own bound of the file and out of it again.
func TestFullDisk(t *testing.T) {
	s := open(t)
	if _, err := s.Send(t.Context(), text("a", "b", "0"), nil); err != nil {
		t.Fatalf("Send = %v", err)
	}
	if _, err := s.w.conn.ExecContext(t.Context(), "PRAGMA max_page_count=1"); err != nil { // means: no page more
		t.Fatal(err)
	}
	big := text("a", "b", "big")
	big.Content = make([]byte, 64<<10)
	if _, err := s.Send(t.Context(), big, nil); !errors.Is(err, ErrNotStored) {
		t.Errorf("Send to a full disk = %v, want ErrNotStored", err)
	}
	if s.w != nil { // the bound is the connection's
		s.w.discard()
		s.w = nil
	}
	st, err := s.Send(t.Context(), big, nil)
	if err != nil || st.Seq != 2 {
		t.Errorf("Send after room was made = seq %d, %v, want 2", st.Seq, err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text.db"), []byte("this is no database, only text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", dir, filepath.Join(dir, "no", "such"), filepath.Join(dir, "text.db")} {
		cfg := DefaultConfig()
		cfg.Path = path
		if s, err := OpenSQLite(t.Context(), cfg, prometheus.NewRegistry()); err == nil {
			t.Errorf("OpenSQLite(%q) succeeded", path)
			_ = s.Close()
		}
	}
	if _, err := OpenSQLite(t.Context(), Config{Path: filepath.Join(dir, "x")}, prometheus.NewRegistry()); err == nil {
		t.Error("OpenSQLite of a zero configuration succeeded")
	}
}

func TestLockFileEndsWithContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatalf("lockFile = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockFile(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("lockFile of a locked file = %v, want Canceled", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = lockFile(ctx, path)
	if err != nil {
		t.Fatalf("lockFile of a free file = %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}
