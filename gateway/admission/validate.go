package admission

import (
	"errors"
	"fmt"
	"math"
)

// Bounds of what can be configured.
const (
	perSecondMin = 0.001
	perSecondMax = 1e9
	classesMax   = 32 // an entry of a user may hold two buckets for each
	patternsMax  = 1024
)

// Validate reports every setting that cannot work, each with its key.
func (c Config) Validate() error {
	var errs []error
	for _, n := range c.counts() {
		if n.count.Max < 0 {
			errs = append(errs, fmt.Errorf("%s.max: %d, want 0 or more", n.key, n.count.Max))
		}
	}
	for _, r := range c.rates() {
		errs = append(errs, r.rate.validate(r.key)...)
	}
	if _, err := ParseRanges(c.Allow); err != nil {
		errs = append(errs, fmt.Errorf("allow.%w", err))
	}
	if _, err := ParseRanges(c.Deny); err != nil {
		errs = append(errs, fmt.Errorf("deny.%w", err))
	}
	errs = append(errs, c.Memory.validate()...)
	errs = append(errs, validateClasses(c.Classes)...)
	return errors.Join(errs...)
}

type keyedCount struct {
	key   string
	count Count
}

func (c *Config) counts() []keyedCount {
	return []keyedCount{
		{"connections", c.Connections},
		{"connections_per_address", c.ConnectionsPerAddress},
		{"connections_per_user", c.ConnectionsPerUser},
		{"cut_sessions", c.CutSessions},
	}
}

type keyedRate struct {
	key  string
	rate Rate
}

func (c *Config) rates() []keyedRate {
	return []keyedRate{
		{"accepts", c.Accepts},
		{"accepts_per_address", c.AcceptsPerAddress},
		{"handshakes", c.Handshakes},
		{"handshakes_per_address", c.HandshakesPerAddress},
		{"session_requests", c.SessionRequests},
		{"session_bytes", c.SessionBytes},
		{"user_requests", c.UserRequests},
		{"user_bytes", c.UserBytes},
	}
}

func (r Rate) validate(key string) []error {
	var errs []error
	add := func(name, format string, a ...any) {
		errs = append(errs, fmt.Errorf(key+"."+name+": "+format, a...))
	}
	if r.PerSecond == 0 {
		if r.Burst != 0 {
			add("burst", "%d without per_second, which is the bound", r.Burst)
		}
		return errs
	}
	if !(r.PerSecond >= perSecondMin && r.PerSecond <= perSecondMax) { // NaN too
		add("per_second", "%v, want 0 for no bound, or %v to %v", r.PerSecond, perSecondMin, int64(perSecondMax))
		return errs
	}
	low, high := int(math.Ceil(r.PerSecond/10)), min(r.PerSecond*toleranceSecondsMax, math.MaxInt32)
	if r.Burst != 0 && (r.Burst < low || float64(r.Burst) > max(high, 1)) {
		add("burst", "%d, want 0 for those of a second, or %d (a tenth of a second) to %.0f (a day)", r.Burst, low, max(high, 1))
	}
	return errs
}

// burst is what Burst stands for.
func (r Rate) burst() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return max(int(math.Ceil(r.PerSecond)), 1)
}

func (m MemoryConfig) validate() []error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf("memory."+format, a...)) }
	if m.LimitBytes < 0 || m.LimitBytes > 0 && m.LimitBytes < 32<<20 {
		add("limit_bytes: %d, want 0, or at least 32MiB", m.LimitBytes)
	}
	last, lastKey := 0.0, ""
	for _, s := range []struct {
		key   string
		share float64
	}{
		{"shorten_idle", m.ShortenIdle}, {"refuse_handshakes", m.RefuseHandshakes},
		{"refuse_accepts", m.RefuseAccepts}, {"drop_queues", m.DropQueues},
	} {
		switch {
		case !(s.share > 0 && s.share <= 1):
			add("%s: %v, want more than 0 and at most 1", s.key, s.share)
		case s.share <= last:
			add("%s: %v, want more than %s (%v)", s.key, s.share, lastKey, last)
		}
		last, lastKey = s.share, s.key
	}
	if !(m.Hysteresis >= 0 && m.Hysteresis < m.ShortenIdle) {
		add("hysteresis: %v, want 0 or more and less than shorten_idle (%v)", m.Hysteresis, m.ShortenIdle)
	}
	if !(m.GoLimit >= 0 && m.GoLimit <= 1) {
		add("go_limit: %v, want 0 to 1", m.GoLimit)
	}
	return errs
}

func validateClasses(classes []Class) []error {
	var errs []error
	add := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if len(classes) > classesMax {
		add("classes: %d, want at most %d", len(classes), classesMax)
	}
	names, patterns := make(map[string]bool), make(map[pattern]string)
	for i, c := range classes {
		key := fmt.Sprintf("classes.%d", i)
		if c.Name == "" || names[c.Name] {
			add("%s.name: %q, want a name that no other class has", key, c.Name)
		}
		names[c.Name] = true
		if len(c.Commands) == 0 {
			add("%s.commands: none, want at least one", key)
		}
		for j, text := range c.Commands {
			p := parsePattern(text)
			if !p.valid() {
				add("%s.commands.%d: %q, want a command such as msg.send, or the beginning of one such as msg. or msg*", key, j, text)
			} else if other, ok := patterns[p]; ok {
				add("%s.commands.%d: %q stands in class %q already", key, j, text, other)
			}
			patterns[p] = c.Name
		}
		errs = append(errs, c.Requests.validate(key+".requests")...)
		errs = append(errs, c.Bytes.validate(key+".bytes")...)
		if _, ok := parseSlow(c.Slow); !ok {
			add("%s.slow: %q, want drop_oldest, conflate or disconnect", key, c.Slow)
		}
	}
	if len(patterns) > patternsMax {
		add("classes: %d commands, want at most %d", len(patterns), patternsMax)
	}
	return errs
}
