package admission

// stepper turns memory in use into a level. It is a plain value: what it says
// depends on what it was told alone.
//
// A step is taken at once when its share is reached, several if need be, and
// taken back only hysteresis below it, so that memory that hovers around a share
// does not open and close the gate all the time. The last one lasts until clients
// may log in again: otherwise those who read slowly would keep everybody else out.
type stepper struct {
	shares     [levels]float64 // by level; that of LevelNormal is not used
	hysteresis float64
	level      Level
}

// step sets and returns the level for used of limit bytes. A limit of 0 is
// never reached.
func (s *stepper) step(used, limit int64) Level {
	if limit <= 0 {
		s.level = LevelNormal
		return s.level
	}
	share := float64(used) / float64(limit)
	for s.level < levels-1 && share >= s.shares[s.level+1] {
		s.level++
	}
	for s.level > LevelNormal && share < s.release(s.level) {
		s.level--
	}
	return s.level
}

// release is the share below which a level is taken back.
func (s *stepper) release(l Level) float64 {
	if l == LevelDropQueues {
		l = LevelRefuseHandshakes
	}
	return s.shares[l] - s.hysteresis
}

// configure takes other shares and keeps the level, which the next step puts
// right.
func (s *stepper) configure(c MemoryConfig) {
	s.shares = [levels]float64{0, c.ShortenIdle, c.RefuseHandshakes, c.RefuseAccepts, c.DropQueues}
	s.hysteresis = c.Hysteresis
}
