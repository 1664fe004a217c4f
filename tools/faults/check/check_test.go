package check

import (
	"strings"
	"testing"
	"time"
)

// story is two requests of one user that went well.
func story() ([]Request, []Run) {
	return []Request{
			{ID: ID{1, 1}, Sent: 1, Answers: []Answer{{At: 12, By: "a"}}},
			{ID: ID{1, 2}, Sent: 2, Answers: []Answer{{At: 22, By: "a"}}},
			{ID: ID{2, 1}, Sent: 2, Answers: []Answer{{At: 9, Status: statusUnavailable, FromGateway: true, RetryAfter: 5}}},
			{ID: ID{2, 2}, Sent: 3, Answers: []Answer{{At: 9, Status: statusUnknown, FromGateway: true}}},
		}, []Run{
			{ID: ID{1, 1}, Attempt: 1, Instance: "a", Begin: 10, End: 11},
			{ID: ID{1, 2}, Attempt: 1, Instance: "a", Begin: 20, End: 21},
		}
}

func TestVerifyAcceptsWhatIsRight(t *testing.T) {
	if got := Verify(story()); len(got) > 0 {
		t.Errorf("Verify(a story without fault) = %q, want nothing", got)
	}
	requests, runs := story()
	requests[1].Idempotent = true // a second attempt after an unknown outcome
	runs = append(runs, Run{ID: ID{1, 2}, Attempt: 2, Instance: "b", Begin: 30, End: 31})
	if got := Verify(requests, runs); len(got) > 0 {
		t.Errorf("Verify(a retry on an idempotent route) = %q, want nothing", got)
	}
	requests, runs = story()
	requests[0].Answers[0] = Answer{At: 15, Status: statusDeadlineExceeded, FromGateway: true}
	runs[0].End = 500 // a handler that was frozen goes on beside the next one
	if got := Verify(requests, runs); len(got) > 0 {
		t.Errorf("Verify(a run that was given up) = %q, want nothing", got)
	}
}

// TestVerifyFinds breaks a good story in every way there is.
func TestVerifyFinds(t *testing.T) {
	tests := []struct {
		name, want string
		spoil      func(requests []Request, runs *[]Run)
	}{
		{"no answer", "request 1: has 0 answers", func(q []Request, _ *[]Run) { q[0].Answers = nil }},
		{"two answers", "request 1: has 2 answers", func(q []Request, _ *[]Run) { q[0].Answers = append(q[0].Answers, q[0].Answers[0]) }},
		{"sent twice by the test", "sent it twice", func(q []Request, _ *[]Run) { q[1].Number = 1 }},
		{"answered without a run", `answered by "a", but it ran nowhere`, func(_ []Request, r *[]Run) { *r = (*r)[:1] }},
		{"answered by another", `answered by "b"`, func(q []Request, _ *[]Run) { q[0].Answers[0].By = "b" }},
		{"run twice", "ran 2 times", func(_ []Request, r *[]Run) { *r = append(*r, Run{ID: ID{1, 2}, Attempt: 2, Instance: "b", Begin: 30}) }},
		{"run though not run", "says that it was not run, but it ran", func(_ []Request, r *[]Run) { *r = append(*r, Run{ID: ID{2, 1}, Instance: "b", Begin: 5}) }},
		{"not run, without a time", "without retry_after_ms", func(q []Request, _ *[]Run) { q[2].Answers[0].RetryAfter = 0 }},
		{"may have run, with a time", "with retry_after_ms", func(q []Request, _ *[]Run) { q[3].Answers[0].RetryAfter = time.Second }},
		{"a senseless status", "means nothing", func(q []Request, _ *[]Run) { q[3].Answers[0].Status = 5 }},
		{"an old one after a newer", "request 1: ran at a from 30ns", func(_ []Request, r *[]Run) { (*r)[0].Begin, (*r)[0].End = 30, 31 }},
		{"an attempt twice", "after request 2", func(q []Request, r *[]Run) {
			q[1].Idempotent = true
			*r = append(*r, Run{ID: ID{1, 2}, Attempt: 1, Instance: "b", Begin: 30})
		}},
		{"two at a time", "while request 1 was still running", func(_ []Request, r *[]Run) { (*r)[0].End = 25 }},
		{"a run of nobody's", "nobody has sent it", func(_ []Request, r *[]Run) { *r = append(*r, Run{ID: ID{3, 1}, Instance: "b", Begin: 5}) }},
	}
	for _, tt := range tests {
		requests, runs := story()
		tt.spoil(requests, &runs)
		if got := strings.Join(Verify(requests, runs), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: Verify = %q, want something with %q", tt.name, got, tt.want)
		}
	}
}

func TestVerifyIsShort(t *testing.T) {
	requests := make([]Request, 100)
	for i := range requests {
		requests[i].ID = ID{1, i + 1}
	}
	got := Verify(requests, nil)
	if len(got) != violationsMax+1 || got[violationsMax] != "and 80 more" {
		t.Errorf("Verify of 100 faults has %d lines, the last %q; want %d and \"and 80 more\"", len(got), got[len(got)-1], violationsMax+1)
	}
}

func TestFigures(t *testing.T) {
	requests, runs := story()
	all := Span{0, 100}
	if share, sent := Success(requests, all); share != 0.5 || sent != 4 {
		t.Errorf("Success = %v of %v, want 0.5 of 4", share, sent)
	}
	if share, sent := Success(requests, Span{50, 60}); share != 0 || sent != 0 {
		t.Errorf("Success of nothing = %v of %v, want 0 of 0", share, sent)
	}
	if got := Failures(requests, Span{0, 3}); len(got) != 1 || got["not run: "] != 1 {
		t.Errorf("Failures = %v, want one that was not run", got)
	}
	if got := Busiest(runs, []string{"a", "b"}, all); got != 2 {
		t.Errorf("Busiest of an idle and a busy one = %v, want 2", got)
	}
	if got := Busiest(runs, []string{"b"}, all); got != 0 {
		t.Errorf("Busiest of an idle one = %v, want 0", got)
	}
	if got := Latency(requests, all, 99); got != 20 {
		t.Errorf("Latency = %v, want 20ns", got)
	}
	requests[0].Answers = nil
	if got := Latency(requests, all, 99); got < time.Hour {
		t.Errorf("Latency with one never answered = %v, want very long", got)
	}
}
