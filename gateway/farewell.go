package gateway

import (
	"crypto/subtle"
	"sync"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// farewellsMax is how many sessions are remembered that ended while no call was
// open. A client comes back within a second or so.
const farewellsMax = 4096

// farewells remembers how sessions of long poll and SSE ended. Such a session may
// end between two calls: without this the client would hear only that there is
// no such session, and one that was kicked would log in again. The oldest is
// forgotten for a newer one.
type farewells struct {
	mu    sync.Mutex // guards the following
	by    map[string]farewell
	order []string // a ring of the ids in by
	next  int
}

type farewell struct {
	secret string
	code   wire.CloseCode
}

// note remembers one that has just ended, for why.
func (f *farewells) note(one *session.Session, why string) {
	code := codeNamed(why)
	if code == wire.CloseNormal || !one.OnCalls() {
		return
	}
	st := one.Snapshot()
	f.add(st.ID, farewell{st.Secret, code})
}

func (f *farewells) add(id string, was farewell) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = make(map[string]farewell)
	}
	if len(f.order) < farewellsMax {
		f.order = append(f.order, id)
	} else {
		delete(f.by, f.order[f.next])
		f.order[f.next] = id
		f.next = (f.next + 1) % farewellsMax
	}
	f.by[id] = was
}

// find tells how the session ended, if the secret is its.
func (f *farewells) find(id, secret string) (wire.CloseCode, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was, ok := f.by[id]
	if !ok || subtle.ConstantTimeCompare([]byte(was.secret), []byte(secret)) == 0 {
		return 0, false
	}
	return was.code, true
}

// codeNamed is the close code that a session ended with, CloseNormal when it was
// none that tells the client anything.
func codeNamed(why string) wire.CloseCode {
	for _, code := range wire.CloseCodes() {
		if code.String() == why {
			return code
		}
	}
	return wire.CloseNormal
}
