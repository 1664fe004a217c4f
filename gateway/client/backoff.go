package client

import (
	"math"
	"time"
)

// Backoff says how long the client rests between two attempts to connect: full
// jitter, that is a random time between a floor and a ceiling that grows with
// each failure. The zero value is the protocol's own (docs/protocol.md section
// 5): 1 s, times 1.8, up to 300 s.
type Backoff struct {
	// Base is the ceiling of the first rest.
	Base time.Duration
	// Factor is what each further failure multiplies the ceiling by, at least 1.
	Factor float64
	// Max is where the ceiling stops growing.
	Max time.Duration
}

// floorShare is the part of Base below which no rest goes. The protocol only
// says "never zero"; a tenth of a second at the default keeps a client that is
// unlucky with its dice from hammering, and hardly bends the distribution.
const floorShare = 10

func (b Backoff) withDefaults() Backoff {
	if b.Base <= 0 {
		b.Base = time.Second
	}
	if b.Factor < 1 {
		b.Factor = 1.8
	}
	if b.Max <= 0 {
		b.Max = 300 * time.Second
	}
	b.Max = max(b.Max, b.Base)
	return b
}

// ceiling returns the longest rest after the given number of failures in a row,
// counted from 0.
func (b Backoff) ceiling(failures int) time.Duration {
	c := float64(b.Base) * math.Pow(b.Factor, float64(failures))
	if c >= float64(b.Max) { // also when Pow overflowed to +Inf
		return b.Max
	}
	return time.Duration(c)
}

// rest draws the time to rest; random returns a number in [0, 1).
func (b Backoff) rest(failures int, random func() float64) time.Duration {
	floor := max(b.Base/floorShare, 1)
	return floor + time.Duration(random()*float64(b.ceiling(failures)-floor))
}
