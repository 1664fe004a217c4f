package admission

import (
	"net/netip"
	"time"
)

// requestLimits is how many limits one request may meet.
const requestLimits = 6

// ledger collects what a request has to pay, and takes it once all agree: a
// request that one limit refuses costs nothing at the others.
type ledger struct {
	now     int64
	n       int
	charges [requestLimits]struct {
		tat  *int64
		next int64
	}
}

// Request judges a request. An empty reason admits it and charges all buckets;
// otherwise nothing is charged, and retryAfter is when it would be admitted.
// buckets are the session's own, their zero value ready; calls with the same
// ones must not overlap, which the session's lock sees to. It allocates nothing
// but what a user needs the first time.
func (g *Gate) Request(uid string, buckets *[2]int64, command []byte, payloadBytes int) (reason string, retryAfter time.Duration) {
	p := g.policy.Load()
	l := ledger{now: g.units()}
	refused, wait := g.judge(&l, &buckets[0], &p.sessionRequests, 1, uid)
	if wait == 0 {
		refused, wait = g.judge(&l, &buckets[1], &p.sessionBytes, payloadBytes, uid)
	}
	if wait == 0 {
		if c := p.classOf(command); c.limited || p.userLimited {
			refused, wait = g.requestOfUser(p, &l, c, uid, payloadBytes)
		} else {
			l.pay()
		}
	}
	if wait == 0 {
		return "", 0
	}
	return refused.String(), inTime(wait)
}

// requestOfUser judges what a user's sessions have in common, and pays.
func (g *Gate) requestOfUser(p *policy, l *ledger, c class, uid string, payloadBytes int) (refused Reason, wait int64) {
	s := g.users.lock(uid)
	defer s.mu.Unlock()
	e := g.users.find(s, uid, p.user, l.now)
	if refused, wait = g.judge(l, e.bucket(userRequests), &p.user[userRequests], 1, uid); wait > 0 {
		return refused, wait
	}
	if refused, wait = g.judge(l, e.bucket(userBytes), &p.user[userBytes], payloadBytes, uid); wait > 0 {
		return refused, wait
	}
	if c.limited {
		// The later place first: making room for it may move the earlier one.
		bytes, requests := e.bucket(c.place+1), e.bucket(c.place)
		if refused, wait = g.judge(l, requests, &p.user[c.place], 1, uid); wait > 0 {
			return refused, wait
		}
		if refused, wait = g.judge(l, bytes, &p.user[c.place+1], payloadBytes, uid); wait > 0 {
			return refused, wait
		}
	}
	l.pay()
	return Admitted, 0
}

// judge asks one limit. Wait 0: it is admitted, or would be refused by a dry
// run, which does not charge.
func (g *Gate) judge(l *ledger, tat *int64, lim *limit, n int, uid string) (refused Reason, wait int64) {
	if !lim.enabled() {
		return Admitted, 0
	}
	next, wait := lim.judge(*tat, l.now, n)
	if wait > 0 {
		*tat = next
		if g.refuses(lim.reason, lim.dryRun, netip.Addr{}, uid) {
			return lim.reason, wait
		}
		return Admitted, 0
	}
	l.charges[l.n].tat, l.charges[l.n].next = tat, next
	l.n++
	return Admitted, 0
}

func (l *ledger) pay() {
	for i := range l.n {
		*l.charges[i].tat = l.charges[i].next
	}
}

// classOf is the class of command; that of none has no limits.
func (p *policy) classOf(command []byte) class {
	if len(p.class) > 0 {
		if i := p.classes.find(command); i >= 0 {
			return p.class[i]
		}
	}
	return class{}
}
