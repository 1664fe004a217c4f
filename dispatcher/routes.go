package dispatcher

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/holdfast-io/holdfast/dispatcher/lane"
)

// commandsKept bounds how many commands a route table remembers. Clients choose
// commands, so the memory must not grow with what they make up; past the bound a
// request costs one more allocation.
const commandsKept = 1024

// routes is an immutable table of prefixes with a memory of the commands it has
// seen, so that a request costs one map look-up and its command no allocation.
type routes struct {
	prefixes []prefix // longest first

	known atomic.Pointer[map[string]route]
	mu    sync.Mutex // held to replace known
}

type prefix struct {
	text    string
	service *service
	policy  *policy
}

// route is where a command goes, and by which rules.
type route struct {
	command *lane.Command
	service *service
	policy  *policy
}

// newRoutes makes a table. Where a route is the same as in old it keeps its policy,
// with all that it counts.
func newRoutes(cfg []RouteConfig, services map[string]*service, old *routes) *routes {
	r := &routes{}
	for _, c := range cfg {
		r.prefixes = append(r.prefixes, prefix{c.Prefix, services[c.Service], old.policyOf(c)})
	}
	slices.SortFunc(r.prefixes, func(a, b prefix) int { return cmp.Compare(len(b.text), len(a.text)) })
	r.known.Store(&map[string]route{})
	return r
}

// policyOf returns the policy of c, which stays what it was as long as c does.
func (r *routes) policyOf(c RouteConfig) *policy {
	if r != nil {
		for _, p := range r.prefixes {
			if p.policy.cfg == c {
				return p.policy
			}
		}
	}
	return newPolicy(c)
}

// find returns the route of command, which it does not keep. service is nil when
// no prefix fits.
func (r *routes) find(command []byte) route {
	if known, ok := (*r.known.Load())[string(command)]; ok {
		return known
	}
	return r.learn(string(command))
}

func (r *routes) learn(command string) route {
	at := r.match(command)
	if at.service == nil {
		return at // remembering refusals would let them crowd out real commands
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.known.Load()
	if len(old) >= commandsKept {
		return at
	}
	next := make(map[string]route, len(old)+1)
	for k, v := range old {
		next[k] = v
	}
	next[command] = at
	r.known.Store(&next)
	return at
}

// match finds the longest prefix of command.
func (r *routes) match(command string) route {
	for _, p := range r.prefixes {
		if strings.HasPrefix(command, p.text) {
			c := &lane.Command{Name: command, Idempotent: p.policy.cfg.Idempotent, Owner: p.policy}
			return route{command: c, service: p.service, policy: p.policy}
		}
	}
	return route{}
}
