package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestResumeExpiredWithToken: whoever comes back with a token to a session whose
// old one has run out begins afresh with it, also in the moments before the
// session is swept away. Without a token it is told what has run out, or that the
// session is over.
func TestResumeExpiredWithToken(t *testing.T) {
	const clients, apart = 16, 25 * time.Millisecond
	gw := start(t, func(c *gateway.Config) { c.Session.ResumeTTL = time.Minute })
	expires := time.Now().Add(700 * time.Millisecond)
	gw.disp.mu.Lock()
	gw.disp.expires = expires
	gw.disp.mu.Unlock()
	var left []wire.Welcome
	for range clients {
		p := gw.dial()
		p.send(hello("u"))
		w, err := wire.ParseWelcome(p.next().Payload)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, w)
		p.Close()
	}
	gw.disp.mu.Lock()
	gw.disp.expires = time.Time{}
	gw.disp.mu.Unlock()
	time.Sleep(time.Until(expires.Add(time.Millisecond)))
	for i, w := range left {
		p := gw.dial()
		token := ""
		if withToken := i%2 == 0; withToken {
			token = `"token":"u",`
		}
		p.send(helloJSON(fmt.Sprintf(`{"protocol":1,%s"resume":{"session":%q,"secret":%q,"seq":0}}`, token, w.Session, w.Secret)))
		if token == "" {
			if f := p.next(); f.Type != wire.TypeClose || f.Code != wire.CloseTokenExpired && f.Code != wire.CloseSessionExpired {
				t.Errorf("client %d without a token: %s %s, want CLOSE 4507 or 4004", i, f.Type, describe(f))
			}
		} else if f := p.next(); f.Type != wire.TypeWelcome {
			t.Errorf("client %d with a token: %s %s, want WELCOME", i, f.Type, describe(f))
		} else if got, err := wire.ParseWelcome(f.Payload); err != nil || got.Resumed || got.Session == w.Session {
			t.Errorf("client %d: %+v, %v, want a fresh session", i, got, err)
		}
		time.Sleep(apart)
	}
}
