package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/store"
)

// killEnv names the database of the process that TestKill kills.
const killEnv = "HOLDFAST_TEST_STORE_KILL"

// writeUntilKilled is what the other process does: it stores messages from
// several senders and prints each one's id when Send has returned.
func writeUntilKilled() {
	path := os.Getenv(killEnv)
	if path == "" {
		return
	}
	cfg := store.DefaultConfig()
	cfg.Path = path
	s, err := store.OpenSQLite(context.Background(), cfg, prometheus.NewRegistry())
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for i := range 4 {
		go func() {
			for m := 0; ; m++ {
				id := fmt.Sprintf("%d.%d.%d", os.Getpid(), i, m)
				d := store.Draft{Sender: fmt.Sprint("u", i), Receiver: "hub", ClientMsgID: id, Type: "text", Content: []byte(`1`)}
				if _, err := s.Send(context.Background(), d, nil); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Println(id) // one write: lines of different senders do not mix
			}
		}()
	}
	select {}
}

// TestKill holds the store to its first promise: it kills a process that stores
// messages, several times, and looks for every message that was acknowledged.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	acknowledged := map[string]bool{}
	for round := range 4 {
		killWriterAfter(t, path, 10+17*round, acknowledged)
	}
	entries := readAll(t, path)
	seqs := map[int64]int64{}
	for i, e := range entries {
		if e.Position != int64(i+1) || e.Seq != seqs[e.Conversation]+1 {
			t.Fatalf("entry %d has position %d, seq %d after %d", i, e.Position, e.Seq, seqs[e.Conversation])
		}
		seqs[e.Conversation] = e.Seq
		delete(acknowledged, e.ClientMsgID)
	}
	for id := range acknowledged {
		t.Errorf("message %s was acknowledged and is lost", id)
	}
	t.Logf("%d messages stored", len(entries))
}

// killWriterAfter starts a writer, kills it after n acknowledgements and adds
// them, and those that were on their way, to acknowledged.
func killWriterAfter(t *testing.T, path string, n int, acknowledged map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	count := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "error") {
			t.Fatal(lines.Text())
		}
		acknowledged[lines.Text()] = true
		if count++; count == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || count < n {
		t.Fatalf("the writer ended by itself after %d messages: %v", count, err)
	}
}

func readAll(t *testing.T, path string) []store.Entry {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.Path = path
	s, err := store.OpenSQLite(t.Context(), cfg, prometheus.NewRegistry())
	if err != nil {
		t.Fatalf("OpenSQLite after the kills = %v", err)
	}
	defer s.Close() //nolint:errcheck // read only
	entries, more, err := s.Pull(t.Context(), store.Page{UID: "hub", Limit: 1 << 20, ContentBytesMax: 1 << 30})
	if err != nil || more {
		t.Fatalf("Pull = more %v, %v", more, err)
	}
	return entries
}
