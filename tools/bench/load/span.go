package load

// span is the measured time of a phase. The zero span measures nothing.
type span struct {
	from, until int64
	// byDue judges an exchange by when it was due (open loop) instead of by
	// when it was complete (closed loop): what was due within the measured
	// time counts, however late it was answered.
	byDue bool
}

func (s span) has(at, now int64) bool {
	t := now
	if s.byDue {
		t = at
	}
	return t >= s.from && t < s.until
}

// record counts one completed exchange when it falls into the measured time.
func (l *loop) record(at, now int64) {
	if l.span.has(at, now) {
		l.tally.Done++
		l.tally.record(now - at)
	}
}
