package discovery

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/discovery/claim"
)

// never is the wait when only a change can bring something new.
const never = time.Hour

// claimStep does what the rules say about the view, and says when to look again.
func (s *seat) claimStep(ctx context.Context) (time.Duration, error) {
	if s.view == nil {
		return never, nil // the next answer wakes us
	}
	if err := s.mend(ctx); err != nil {
		return s.retry.next(), err
	}
	view := s.claimView()
	switch a := s.rules.Decide(view, s.self); a.Verb {
	case claim.Keep:
		s.confirm()
	case claim.Wait:
		s.complain("waiting for a slot", slog.String("reason", a.Reason))
	case claim.Take:
		done, err := s.take(ctx, a)
		if err != nil {
			return s.retry.next(), err
		}
		if !done {
			return s.retry.next(), nil
		}
	case claim.Lost:
		return 0, s.lose(ctx, a)
	case claim.Superseded:
		s.log.Error("stopping", slog.String("reason", a.Reason))
		// Key and registration are the other one's by now.
		s.self.Confirmed, s.registered = false, false
		return 0, ErrSuperseded
	}
	return min(s.rules.Wake(view), never) + time.Millisecond, nil
}

func (s *seat) claimView() claim.View {
	v := claim.View{Keys: s.view.keys, Settled: s.unsettled.IsZero(), Now: time.Now()}
	if !v.Settled {
		v.Unsettled = time.Since(s.unsettled)
	}
	return v
}

// mend does what any instance does for the registry: one that is new gets its
// mark, one that has lost keys gets back what this instance knows, and in time it
// is settled.
func (s *seat) mend(ctx context.Context) error {
	if s.unsettled.IsZero() {
		return nil
	}
	if s.view.registry == nil {
		r := registry{Generation: rand.Text()}
		if err := s.client.putRegistry(ctx, s.reg.Service, r); err != nil {
			return err
		}
		s.view.registry = &r // whichever it is now, the next answer tells
	}
	r := *s.view.registry
	if s.self.Confirmed && s.generation != "" && r.Generation != s.generation {
		for _, k := range s.claimView().Forgotten(s.known, s.self) {
			k.Index = 0
			if _, err := s.client.putKey(ctx, s.reg.Service, k); err != nil {
				return err
			}
		}
		s.generation = r.Generation // done with that; what is known stays for another time
	}
	if r.index != 0 && time.Since(s.unsettled) >= s.cfg.Settle {
		r.Settled = true
		return s.client.putRegistry(ctx, s.reg.Service, r)
	}
	return nil
}

// take writes and locks a key. It reports false when it has to be tried again.
func (s *seat) take(ctx context.Context, a claim.Action) (bool, error) {
	if s.self.Session == "" {
		session, err := s.client.newSession(ctx, s.reg.serviceID())
		if err != nil {
			return false, err
		}
		s.self.Session = session
	}
	was := s.self
	s.self.Slot, s.self.Claim = a.Slot, a.Claim
	ok, err := s.client.lockKey(ctx, s.reg.Service, s.ownKey(), a)
	if err != nil || !ok {
		s.self.Slot, s.self.Claim = was.Slot, was.Claim
		if err == nil { // the key has changed, or the session is gone
			err = s.checkSession(ctx)
		}
		return false, err
	}
	s.view = nil // it is not as we have seen it any more
	if was.Slot != a.Slot || was.Claim != a.Claim || !was.Confirmed {
		s.log.Info("slot claimed", slog.Int("slot", a.Slot), slog.Uint64("claim", a.Claim))
	}
	s.confirm()
	s.remember()
	if a.Former != "" {
		if err := s.client.endSession(ctx, a.Former); err != nil {
			s.log.Debug("the former session stays until its time is up", slog.Any("error", err))
		}
	}
	return true, nil
}

// checkSession forgets a session that Consul does not know any more.
func (s *seat) checkSession(ctx context.Context) error {
	there, err := s.client.renewSession(ctx, s.self.Session)
	if err == nil && !there {
		s.self.Session = ""
	}
	return err
}

// confirm serves the slot whose lock is ours. Another number than before is
// announced anew.
func (s *seat) confirm() {
	s.self.Confirmed = true
	now := Standing{Serving: true, Slot: s.self.Slot, Confirmed: true}
	if now.Slot != s.standing.Slot {
		s.registered = false
	}
	s.stand(now)
}

// lose stops serving a slot that is another's, and forgets it.
func (s *seat) lose(ctx context.Context, a claim.Action) error {
	serving := s.standing.Serving
	s.stand(Standing{})
	if serving {
		s.metrics.lost.WithLabelValues(s.reg.Service).Inc()
		s.log.Warn("the slot is lost", slog.Int("slot", a.Slot), slog.String("reason", a.Reason))
	}
	s.self.Slot, s.self.Claim, s.self.Confirmed = claim.None, 0, false
	return s.withdraw(ctx)
}

// markGone notes since when holders are gone, so that their slots do not wait for
// ever.
func (s *seat) markGone(ctx context.Context) {
	if s.view == nil {
		return
	}
	for _, k := range s.claimView().Missed(s.self) {
		k.Gone = time.Now()
		if _, err := s.client.putKey(ctx, s.reg.Service, k); err != nil {
			if !errors.Is(err, context.Canceled) {
				s.complain("a holder that is gone cannot be noted", slog.Any("error", err))
			}
			return
		}
	}
}
