// Package check holds what clients were answered against what backends ran: it is
// the judge of the fault tests. A client notes every request and every answer, a
// backend every run, all on one clock; [Verify] then says what was broken of the
// promises of docs/protocol.md section 2.
//
// It is pure and reads no clock; tests of anybody may use it.
package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Status codes that the gateway's own answers have a meaning for.
const (
	statusOK                = 0
	statusUnknown           = 2
	statusDeadlineExceeded  = 4
	statusResourceExhausted = 8
	statusUnimplemented     = 12
	statusInternal          = 13
	statusUnavailable       = 14
)

// ID names a request: the user who sent it, and its number. A user's numbers grow
// in the order of sending.
type ID struct{ User, Number int }

// Request is one request as its client saw it.
type Request struct {
	ID
	// Idempotent: its route says that it may run more than once.
	Idempotent bool
	Sent       time.Duration
	Answers    []Answer
}

// Answer is one reply that a client received.
type Answer struct {
	At          time.Duration
	Status      int
	FromGateway bool // the gateway made it, not the backend
	RetryAfter  time.Duration
	Reason      string // of the gateway
	By          string // the instance, where the backend made it
}

// Run is one execution by a backend.
type Run struct {
	ID
	Attempt  int
	Instance string
	Begin    time.Duration
	End      time.Duration // 0: it never ended, or nobody could say so any more
}

// Outcome is what an answer says.
type Outcome int

// The outcomes.
const (
	Done       Outcome = iota // the backend answered, whatever it answered
	NotRun                    // it may be sent again
	MayHaveRun                // nobody knows
	Senseless                 // no gateway may say this
)

// String is for messages.
func (o Outcome) String() string {
	return [...]string{"done", "not run", "may have run", "senseless"}[o]
}

// Outcome tells what a says.
func (a Answer) Outcome() Outcome {
	if !a.FromGateway {
		return Done
	}
	switch a.Status {
	case statusUnavailable, statusResourceExhausted, statusUnimplemented:
		return NotRun
	case statusUnknown, statusDeadlineExceeded, statusInternal: // the last: the backend's answer was none
		return MayHaveRun
	}
	return Senseless
}

// OK tells whether r was answered once, by a backend and with success.
func (r Request) OK() bool {
	return len(r.Answers) == 1 && r.Answers[0].Outcome() == Done && r.Answers[0].Status == statusOK
}

// violationsMax bounds the list, since one fault tends to show in many requests.
const violationsMax = 20

// Verify returns what is wrong, each with the request it is about:
//
//   - a request has one answer, and one that makes sense;
//   - what was answered by a backend was run there, what the gateway calls "not
//     run" was not run, and it says when to come again;
//   - nothing is run twice unless its route is idempotent;
//   - the requests of one user begin in the order in which they were sent, each
//     after the one before it has been answered by its backend.
func Verify(requests []Request, runs []Run) []string {
	c := &checker{byID: map[ID][]Run{}}
	for _, r := range runs {
		c.byID[r.ID] = append(c.byID[r.ID], r)
	}
	known := map[ID]*Request{}
	for i := range requests {
		r := &requests[i]
		if known[r.ID] != nil {
			c.found(r.ID, "the test has sent it twice")
		}
		known[r.ID] = r
		c.request(r)
	}
	c.order(known, runs)
	if over := len(c.violations) - violationsMax; over > 0 {
		c.violations = append(c.violations[:violationsMax], fmt.Sprintf("and %d more", over))
	}
	return c.violations
}

type checker struct {
	byID       map[ID][]Run
	violations []string
}

func (c *checker) found(id ID, format string, a ...any) {
	c.violations = append(c.violations, fmt.Sprintf("user %d, request %d: ", id.User, id.Number)+fmt.Sprintf(format, a...))
}

// request judges one request by itself.
func (c *checker) request(r *Request) {
	runs := c.byID[r.ID]
	if len(runs) > 1 && !r.Idempotent {
		c.found(r.ID, "ran %d times: %s", len(runs), describe(runs))
	}
	if len(r.Answers) != 1 {
		c.found(r.ID, "has %d answers, want 1", len(r.Answers))
		return
	}
	a := r.Answers[0]
	switch a.Outcome() {
	case Done:
		if !slices.ContainsFunc(runs, func(run Run) bool { return run.Instance == a.By && run.Begin <= a.At }) {
			c.found(r.ID, "answered by %q, but it ran %s", a.By, describe(runs))
		}
	case NotRun:
		if len(runs) > 0 {
			c.found(r.ID, "answered %d (%s), which says that it was not run, but it ran %s", a.Status, a.Reason, describe(runs))
		}
		if a.RetryAfter <= 0 && a.Status != statusUnimplemented {
			c.found(r.ID, "answered %d (%s) without retry_after_ms", a.Status, a.Reason)
		}
	case MayHaveRun:
		if a.RetryAfter > 0 {
			c.found(r.ID, "answered %d (%s), which says that it may have run, with retry_after_ms", a.Status, a.Reason)
		}
	case Senseless:
		c.found(r.ID, "answered %d (%s) by the gateway, which means nothing", a.Status, a.Reason)
	}
}

// order judges the sequence of every user's runs.
func (c *checker) order(known map[ID]*Request, runs []Run) {
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Begin, b.Begin))
	})
	for i, run := range sorted {
		if known[run.ID] == nil {
			c.found(run.ID, "ran %s, but nobody has sent it", describe(sorted[i:i+1]))
		}
		if i == 0 || sorted[i-1].User != run.User {
			continue
		}
		before := sorted[i-1]
		if before.Number > run.Number || before.Number == run.Number && before.Attempt >= run.Attempt {
			c.found(run.ID, "ran %s, after request %d, which ran %s",
				describe(sorted[i:i+1]), before.Number, describe(sorted[i-1:i]))
		}
		if ended(known[before.ID], before) && run.Begin < before.End {
			c.found(run.ID, "ran %s, while request %d was still running: %s",
				describe(sorted[i:i+1]), before.Number, describe(sorted[i-1:i]))
		}
	}
}

// ended tells whether the gateway has gone by the end of a run. It has when the
// run's own answer is the request's; not when it had given the run up, which may
// then go on beside those that follow.
func ended(r *Request, run Run) bool {
	return r != nil && run.End > 0 && len(r.Answers) == 1 && r.Answers[0].Outcome() == Done && r.Answers[0].By == run.Instance
}

func describe(runs []Run) string {
	if len(runs) == 0 {
		return "nowhere"
	}
	text := ""
	for i, r := range runs {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("at %s from %v to %v (attempt %d)", r.Instance, r.Begin, r.End, r.Attempt)
	}
	return text
}
