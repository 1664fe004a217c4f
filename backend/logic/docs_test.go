package logic_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
)

// block is an example of docs/im-api.md: what stands behind ```json, and the text.
type block struct {
	line  int
	words []string // request COMMAND by UID | reply | error STATUS | push COMMAND to UID
	text  string
}

func readBlocks(t *testing.T, path string) []block {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	var blocks []block
	in := false
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		head, isJSON := strings.CutPrefix(lines.Text(), "```json ")
		switch {
		case isJSON:
			in = true
			blocks = append(blocks, block{line: n, words: strings.Fields(head)})
		case in && lines.Text() == "```":
			in = false
		case in:
			blocks[len(blocks)-1].text += lines.Text() + "\n"
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return blocks
}

// given is what the backend chooses: the document shows some value, a run another
// one, but wherever the document shows the same the run must too.
type given struct{ real, shown map[string]any }

var chosen = map[string]bool{"msg_id": true, "conversation": true, "time_ms": true}

// replace puts the document's values in the place of the run's.
func (g *given) replace(real, shown any) (any, error) {
	switch real := real.(type) {
	case []any:
		list, ok := shown.([]any)
		for i := range real {
			if !ok || i >= len(list) {
				break // the comparison shows it
			}
			var err error
			if real[i], err = g.replace(real[i], list[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		object, ok := shown.(map[string]any)
		for key, v := range real {
			if !ok || object[key] == nil {
				continue
			}
			var err error
			if chosen[key] {
				v, err = g.bind(key, v, object[key])
			} else {
				v, err = g.replace(v, object[key])
			}
			if err != nil {
				return nil, err
			}
			real[key] = v
		}
	}
	return real, nil
}

func (g *given) bind(key string, real, shown any) (any, error) {
	if fmt.Sprintf("%T", real) != fmt.Sprintf("%T", shown) || len(fmt.Sprint(real)) == 0 {
		return nil, fmt.Errorf("%s is %v, the document shows %v", key, real, shown)
	}
	a, b := fmt.Sprint(key, real), fmt.Sprint(key, shown)
	if was, ok := g.real[a]; ok && was != shown {
		return nil, fmt.Errorf("%s %v is shown as %v and as %v", key, real, was, shown)
	}
	if was, ok := g.shown[b]; ok && was != real {
		return nil, fmt.Errorf("%s %v is shown for %v and for %v", key, shown, was, real)
	}
	g.real[a], g.shown[b] = shown, real
	return shown, nil
}

// check compares what a run gave with what the document shows.
func (g *given) check(real []byte, shown string) error {
	var r, s any
	if err := json.Unmarshal(real, &r); err != nil {
		return fmt.Errorf("payload %q: %w", real, err)
	}
	if err := json.Unmarshal([]byte(shown), &s); err != nil {
		return fmt.Errorf("the document: %w", err)
	}
	r, err := g.replace(r, s)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(s, r); diff != "" {
		return fmt.Errorf("differs (-document +run):\n%s", diff)
	}
	return nil
}

// TestDocument runs the examples of docs/im-api.md in their order.
func TestDocument(t *testing.T) {
	const path = "../../docs/im-api.md"
	s := start(t, nil)
	g := &given{real: map[string]any{}, shown: map[string]any{}}
	sessions := map[string]*kittest.Session{}
	blocks := readBlocks(t, path)
	for _, b := range blocks { // everyone is online from the beginning
		if uid := b.words[len(b.words)-1]; len(b.words) == 4 && sessions[uid] == nil {
			sessions[uid] = s.login(uid, "d")
		}
	}
	var reply kittest.Reply
	kinds := map[string]int{}
	for _, b := range blocks {
		var err error
		kinds[b.words[0]]++
		switch b.words[0] {
		case "request":
			reply = sessions[b.words[3]].Request(t, b.words[1], strings.TrimSpace(b.text))
		case "reply", "error":
			want := kit.OK.String()
			if b.words[0] == "error" {
				want = b.words[1]
			}
			if reply.Status.String() != want {
				err = fmt.Errorf("status %v, want %s", reply.Status, want)
			} else {
				err = g.check(reply.Payload, b.text)
			}
		case "push":
			p := sessions[b.words[3]].NextPush(t)
			if err = g.check(p.Payload, b.text); p.Command != b.words[1] {
				err = fmt.Errorf("push %s, want %s", p.Command, b.words[1])
			}
		default:
			err = fmt.Errorf("unknown kind of example %q", b.words)
		}
		if err != nil {
			t.Errorf("%s:%d: %v", path, b.line, err)
		}
	}
	for _, kind := range []string{"request", "reply", "error", "push"} {
		if kinds[kind] == 0 {
			t.Errorf("%s has no example of a %s", path, kind)
		}
	}
}
