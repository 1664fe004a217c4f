package check

import (
	"slices"
	"time"
)

// Span is a stretch of time; To is not part of it.
type Span struct{ From, To time.Duration }

func (s Span) has(t time.Duration) bool { return t >= s.From && t < s.To }

// Success tells what share of the requests sent within a span succeeded, and how
// many they were. Of none the share is 0: no traffic is no success.
func Success(requests []Request, in Span) (share float64, sent int) {
	ok := 0
	for _, r := range requests {
		if !in.has(r.Sent) {
			continue
		}
		sent++
		if r.OK() {
			ok++
		}
	}
	if sent == 0 {
		return 0, 0
	}
	return float64(ok) / float64(sent), sent
}

// Failures counts the answers other than success to what was sent within a span,
// by what they say.
func Failures(requests []Request, in Span) map[string]int {
	by := map[string]int{}
	for _, r := range requests {
		if !in.has(r.Sent) || r.OK() {
			continue
		}
		switch {
		case len(r.Answers) == 0:
			by["no answer"]++
		case r.Answers[0].FromGateway:
			by[r.Answers[0].Outcome().String()+": "+r.Answers[0].Reason]++
		default:
			by["the backend failed it"]++
		}
	}
	return by
}

// Busiest divides the runs of the busiest of the instances by their mean, over the
// runs that began within a span. Every one of the instances counts, also those
// that ran nothing. 0: nothing ran.
func Busiest(runs []Run, instances []string, in Span) float64 {
	count := make([]int, len(instances))
	total := 0
	for _, r := range runs {
		if i := slices.Index(instances, r.Instance); i >= 0 && in.has(r.Begin) {
			count[i]++
			total++
		}
	}
	if total == 0 {
		return 0
	}
	return float64(slices.Max(count)) * float64(len(instances)) / float64(total)
}

// Latency returns a percentile of the time from sending to the first answer of the
// requests sent within a span. One without an answer counts as the longest.
func Latency(requests []Request, in Span, percentile float64) time.Duration {
	var all []time.Duration
	for _, r := range requests {
		switch {
		case !in.has(r.Sent):
		case len(r.Answers) == 0:
			all = append(all, 1<<62)
		default:
			all = append(all, r.Answers[0].At-r.Sent)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(percentile/100*float64(len(all))), len(all)-1)]
}
