package poll

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sums is what the list counts, from scratch.
func sums(items []item) (l list) {
	for i := range items {
		l.count(&items[i], 1)
	}
	return l
}

// TestListSums: whatever is done, the sums are those of the items, pushes are in
// the order of their seq, no reply is there twice, and an empty list owns nothing.
func TestListSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l list
		seq, now := uint64(0), int64(1)
		var acked uint64
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				seq++
				l.add(item{b: make([]byte, rapid.IntRange(1, 50).Draw(t, "n")), kind: kindPush, seq: seq, exempt: rapid.Bool().Draw(t, "exempt")})
			},
			"reply": func(t *rapid.T) {
				id := rapid.Uint32Range(1, 9).Draw(t, "id")
				if l.reply(id) < 0 {
					l.add(item{b: make([]byte, 10), kind: kindReply, id: id, forPost: rapid.Bool().Draw(t, "forPost")})
				}
			},
			"transient": func(t *rapid.T) {
				key := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key")
				drop := rapid.Bool().Draw(t, "drop")
				before := len(l.items)
				if l.makeRoom(10+itemBytes, 400, key, drop) {
					l.add(item{b: make([]byte, 10), kind: kindTransient, key: key, until: rapid.Int64Range(0, 20).Draw(t, "until")})
				} else if len(l.items) != before {
					t.Fatal("makeRoom dropped something for nothing")
				}
			},
			"notice":      func(t *rapid.T) { l.add(item{b: make([]byte, 10), kind: kindNotice}) },
			"acknowledge": func(t *rapid.T) { acked = rapid.Uint64Range(0, seq).Draw(t, "seq"); l.acknowledge(acked) },
			"named":       func(t *rapid.T) { l.named(rapid.Uint32Range(1, 9).Draw(t, "id")) },
			"shed":        func(t *rapid.T) { l.shed(3, 150) },
			"expire":      func(t *rapid.T) { now++; l.expire(now) },
			"resend":      func(t *rapid.T) { l.resend() },
			"unclaim":     func(t *rapid.T) { l.unclaim() },
			"answer":      func(t *rapid.T) { l.appendAll(nil, rapid.IntRange(1, 200).Draw(t, "limit")) },
			"post":        func(t *rapid.T) { l.appendPost(nil) },
			"events":      func(t *rapid.T) { l.appendEvents(nil, rapid.IntRange(1, 200).Draw(t, "limit")) },
			"": func(t *rapid.T) {
				want := sums(slices.Clone(l.items))
				got := l
				want.items, got.items = nil, nil
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("sums = %+v, want %+v", got, want)
				}
				if len(l.items) == 0 && cap(l.items) != 0 {
					t.Fatal("an empty list owns memory")
				}
				last := uint64(0)
				seen := map[uint32]bool{}
				for _, it := range l.items {
					if it.kind == kindPush {
						if it.seq <= last {
							t.Fatalf("push %d behind %d", it.seq, last)
						}
						last = it.seq
					}
					if it.kind == kindReply && seen[it.id] {
						t.Fatalf("reply %d is there twice", it.id)
					}
					if it.kind == kindReply {
						seen[it.id] = true
					}
					if it.kind >= kindNotice && it.sent {
						t.Fatal("a frame that is not kept stays after it was sent")
					}
				}
			},
		})
	})
}

// TestNeverSentIsNeverDropped: what the client names drops only what it can have.
func TestNeverSentIsNeverDropped(t *testing.T) {
	var l list
	reply := func(id uint32) { l.add(item{b: []byte("r"), kind: kindReply, id: id}) }
	reply(1)
	l.add(item{b: []byte("p"), kind: kindPush, seq: 1})
	reply(2)
	l.acknowledge(1)
	l.named(9)
	l.shed(0, 0)
	l.named(2)
	if l.reply(1) != 0 || l.replies != 1 {
		t.Errorf("left are %+v, want reply 1", l.items)
	}
	l.appendAll(nil, 100)
	l.shed(0, 1000)
	if l.items != nil {
		t.Errorf("left are %+v, want none", l.items)
	}
}

// TestAppendAll: an answer is bounded, and its rest is the next one's.
func TestAppendAll(t *testing.T) {
	var l list
	for _, s := range []string{"11111111", "2", "3", "4"} {
		l.add(item{b: []byte(s), kind: kindNotice})
	}
	var got []string
	for len(l.items) > 0 {
		got = append(got, string(l.appendAll(nil, 4)))
	}
	if want := "11111111 2,3 4"; strings.Join(got, " ") != want {
		t.Errorf("answers %q, want %q", got, want)
	}
}

func TestAppendEvent(t *testing.T) {
	for _, tt := range []struct {
		seq      uint64
		in, want string
	}{
		{0, "{}", "data: {}\n\n"},
		{18446744073709551615, "{}", "id: 18446744073709551615\ndata: {}\n\n"},
		{7, "{\n\"a\":\r\n1\r}", "id: 7\ndata: {\ndata: \"a\":\ndata: \ndata: 1\ndata: }\n\n"},
	} {
		if got := string(appendEvent(nil, tt.seq, []byte(tt.in))); got != tt.want {
			t.Errorf("appendEvent(%d, %q) = %q, want %q", tt.seq, tt.in, got, tt.want)
		}
	}
}
