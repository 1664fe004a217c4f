package dispatcher

import "time"

func (r RouteConfig) validate(at string, v *complaints) {
	v.check(r.Rate >= 0, at+"rate", "%v, want at least 0", r.Rate)
	v.check(r.Burst >= 0, at+"burst", "%d, want at least 0", r.Burst)
	v.check(r.Concurrency >= 0, at+"concurrency", "%d, want at least 0", r.Concurrency)
	switch r.Outage {
	case "", OutageReject, OutageHold, OutageDegrade:
	default:
		v.check(false, at+"outage", "%q, want reject, hold or degrade", r.Outage)
	}
	h := r.Hold.withDefaults()
	v.check(h.Timeout >= time.Millisecond, at+"hold.timeout", "%v, want at least 1ms", h.Timeout)
	v.check(h.Count >= 1, at+"hold.count", "%d, want at least 1", h.Count)
	v.check(h.Bytes >= 1, at+"hold.bytes", "%d, want at least 1", h.Bytes)
	v.check(r.Degrade.Status >= 0 && r.Degrade.Status <= statusMax, at+"degrade.status", "%d, want 0 to %d", r.Degrade.Status, statusMax)
}

func (b BreakerConfig) validate(v *complaints) {
	if !b.Enabled {
		return
	}
	v.check(b.Window >= time.Millisecond, "breaker.window", "%v, want at least 1ms", b.Window)
	v.check(b.MinPackets >= 1, "breaker.min_packets", "%d, want at least 1", b.MinPackets)
	v.check(b.FailureRatio > 0 && b.FailureRatio <= 1, "breaker.failure_ratio", "%v, want above 0, to 1", b.FailureRatio)
	v.check(b.OpenFor >= time.Millisecond, "breaker.open_for", "%v, want at least 1ms", b.OpenFor)
	v.check(b.TimeoutsInARow >= 1, "breaker.timeouts_in_a_row", "%d, want at least 1", b.TimeoutsInARow)
}
