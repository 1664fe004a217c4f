package logic

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/backend/presence"
)

// connect judges a login, or the new token of a live session. The refusals say
// what the client can do about it and no more: why a token proves nothing would
// tell a forger what to mend.
func (s *Service) connect(ctx context.Context, l kit.Login) (kit.Identity, error) {
	if l.Token == "" {
		s.m.login(l.Purpose, loginAbsent)
		return kit.Identity{}, kit.Refuse(kit.CloseUnauthenticated, "token required", 0)
	}
	claims, err := s.ring.Verify(l.Token)
	switch {
	case errors.Is(err, keys.ErrExpired):
		s.m.login(l.Purpose, loginExpired)
		return kit.Identity{}, kit.Refuse(kit.CloseTokenExpired, "token expired", 0)
	case err != nil:
		s.m.login(l.Purpose, loginRefused)
		s.log.Debug("login", "client_ip", l.Session.ClientIP, "error", err)
		return kit.Identity{}, kit.Refuse(kit.CloseUnauthenticated, "token refused", 0)
	}
	if l.Purpose == kit.PurposeConnect {
		// Before the answer, so that no event of the session can come first.
		l.Session.UID = claims.UID
		s.appeared(ctx, l.Session)
	}
	s.m.login(l.Purpose, loginWelcome)
	return kit.Identity{UID: claims.UID, ExpiresAt: claims.ExpiresAt}, nil
}

// appeared writes down that a session is at its gateway. Without the record the
// session gets no pushes; it can still pull, so an error is no reason to refuse it.
func (s *Service) appeared(ctx context.Context, k kit.Session) {
	err := s.presence.Put(ctx, presence.Record{
		UID: k.UID, Session: k.ID, Gateway: presence.Gateway{Address: k.Gateway, Epoch: k.Epoch},
		DeviceID: k.Device.ID, DeviceClass: k.Device.Class,
	})
	if err != nil {
		s.log.Warn("session is not written to presence", "session", k.ID, "error", err)
	}
}

// events keeps presence up to date. A session that was cut may be resumed, and
// its gateway keeps pushes for it until then, so it still counts.
func (s *Service) events(ctx context.Context, list []kit.Event) error {
	var errs []error
	for _, e := range list {
		switch e.Kind {
		case kit.Ended:
			errs = append(errs, s.presence.Remove(ctx, e.Session.UID, e.Session.ID))
		case kit.Resumed:
			s.appeared(ctx, e.Session)
		case kit.Present:
			s.appeared(ctx, e.Session)
			s.delivery.announced(e.Session.UID, e.Session.ID, e.Session.Gateway)
		case kit.Cut:
		}
	}
	return errors.Join(errs...) // the gateway sends the list again
}

// gatewaySeen renews the lease of a gateway, and asks it to announce its sessions
// when presence knows nothing of it.
func (s *Service) gatewaySeen(ctx context.Context, g kit.Gateway) (resync bool) {
	known, err := s.presence.Renew(ctx, presence.Gateway{Address: g.Address, Epoch: g.Epoch})
	if err != nil {
		s.log.Warn("lease of gateway is not renewed", "gateway", g.Address, "error", err)
		return false // announcing would fail too; the next heartbeat asks
	}
	return !known
}

// sweepInterval is how often lapsed gateways are looked for; they are kept for an
// hour, so it need not be exact.
const sweepInterval = time.Minute

// sweep forgets what lapsed long ago, until ctx is done.
func (s *Service) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.presence.Sweep(ctx); err != nil {
				s.log.Warn("sweep of presence", "error", err)
			}
		}
	}
}
