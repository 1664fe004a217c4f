package engine

import "time"

// clock is the process's clock for start_by: the time at its making plus what has
// passed since. Reading it costs half of time.Now, and a step of the wall clock
// does not make packets late. Gateways learn its offset from Heartbeat.
type clock struct {
	made time.Time
}

// now returns the time since the clock was made.
func (c clock) now() time.Duration { return time.Since(c.made) }

// at returns the time that is d after the clock was made.
func (c clock) at(d time.Duration) time.Time { return c.made.Add(d) }

// unixMS turns a reading into Unix milliseconds.
func (c clock) unixMS(d time.Duration) int64 { return c.made.UnixMilli() + d.Milliseconds() }
