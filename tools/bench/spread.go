package bench

import (
	"fmt"
	"slices"
)

// Spread is a figure over several rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

// spreadOf summarises values; without any it is all zero.
func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (v[len(v)/2-1] + mid) / 2
	}
	return Spread{Median: mid, Min: v[0], Max: v[len(v)-1], Rounds: len(v)}
}

// Known tells whether there was any value.
func (s Spread) Known() bool { return s.Rounds > 0 }

// Text formats the median with the given verb, and the range where there was
// more than one round.
func (s Spread) Text(verb string) string {
	switch {
	case !s.Known():
		return "-"
	case s.Rounds == 1:
		return fmt.Sprintf(verb, s.Median)
	}
	return fmt.Sprintf(verb+" ("+verb+" to "+verb+")", s.Median, s.Min, s.Max)
}

// gather makes a Spread of one figure of every round; those for which value
// reports false do not count.
func gather[R any](rounds []R, value func(R) (float64, bool)) Spread {
	var v []float64
	for _, r := range rounds {
		if x, ok := value(r); ok {
			v = append(v, x)
		}
	}
	return spreadOf(v)
}
