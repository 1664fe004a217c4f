// Package discovery tells which backend instances exist. It knows nothing of
// whether they work: that is the dispatcher's to find out by calling them.
//
// A Discovery hands out snapshots: whole, immutable and versioned. A consumer
// holds one, asks Next for a newer one, and replaces its table whole, so two
// goroutines never see half a change.
//
// Implementations are Static (from a configuration file), Memory (instances of the
// same process, tests) and Consul. All pass the suite in package discoverytest.
//
// A Registrar is the other side: by it a process announces itself. ConsulRegistrar
// also claims the instance's slot in Consul, by the rules of package claim. What
// Static reports stands in a file, and instances of Memory register there.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Discovery is a source of snapshots. Its methods may be called from any goroutine.
type Discovery interface {
	// Next blocks until there is a snapshot with a version above after, and
	// returns the newest. Versions begin at 1, so Next(ctx, 0) returns as soon as
	// anything is known. Snapshots between after and the newest are skipped. The
	// only error is ctx's.
	Next(ctx context.Context, after uint64) (*Snapshot, error)
}

// NoSlot is the Slot of an instance that has no place in its service's table.
// It gets no users; logins may reach it.
const NoSlot = -1

// Instance is a backend process.
type Instance struct {
	ID      string            // unique within its service
	Service string            // the service it is one of
	Slot    int               // 0 and up, unique within the service, or NoSlot
	Address string            // host:port, or unix:/path
	Zone    string            // where it runs; empty: not told
	Meta    map[string]string // anything else, such as version, track or weight

	Incarnation int64 // one life of its process; 0: not told
}

// Holder is whoever holds a slot, or held it last.
type Holder struct {
	ID          string // of the instance; empty: nobody yet
	Incarnation int64  // of its process; 0: not told
}

// Service is what is known of one service.
type Service struct {
	// Slots is n: how many slots exist, vacant ones included. Users hash over it.
	Slots int
	// Instances are sorted by ID. A slot that none of them holds is vacant.
	Instances []Instance
	// Holders has an entry for each slot, vacant ones included: all who read the same
	// source agree on who held a slot last.
	Holders []Holder
}

// Snapshot is the membership at one moment. Nobody changes it once it is out.
type Snapshot struct {
	Version  uint64 // grows with each change
	Services map[string]Service
}

// Validate reports everything that is wrong with an instance.
func (i Instance) Validate() error {
	var errs []error
	if i.ID == "" {
		errs = append(errs, errors.New("id: empty"))
	}
	if i.Service == "" {
		errs = append(errs, errors.New("service: empty"))
	}
	if i.Slot < NoSlot || i.Slot > SlotMax {
		errs = append(errs, fmt.Errorf("slot: %d, want 0 to %d, or %d for none", i.Slot, SlotMax, NoSlot))
	}
	if _, _, err := SplitAddress(i.Address); err != nil {
		errs = append(errs, fmt.Errorf("address: %w", err))
	}
	return errors.Join(errs...)
}

// SlotMax bounds slot numbers, since a table has an entry for each number below
// the highest: a slip of the keyboard must not allocate gigabytes.
const SlotMax = 65_535

// SplitAddress tells how an instance's address is dialled: "unix:/run/l.sock" and
// "/run/l.sock" are unix sockets, everything else is host:port over tcp.
func SplitAddress(address string) (network, target string, err error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok || strings.HasPrefix(address, "/") {
		if !ok {
			path = address
		}
		// sun_path has 108 bytes and ends in a NUL.
		if path == "" || len(path) > 107 {
			return "", "", fmt.Errorf("%q: a unix socket's path has 1 to 107 bytes", address)
		}
		return "unix", path, nil
	}
	host, port, err := net.SplitHostPort(address)
	if number, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || host == "" || number == 0 {
		return "", "", fmt.Errorf("%q is neither host:port nor unix:/path", address)
	}
	return "tcp", address, nil
}

// build makes the services of a snapshot out of instances, which it copies. held
// tells who has held the slots so far: they stay.
func build(instances []Instance, held map[string][]Holder) (map[string]Service, error) {
	var errs []error
	services := make(map[string]Service)
	for name, h := range held {
		services[name] = Service{Slots: len(h), Holders: slices.Clone(h)}
	}
	ids, holders := map[[2]string]bool{}, map[string]map[int]string{}
	for _, i := range instances {
		if err := i.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("instance %q of %q: %w", i.ID, i.Service, err))
			continue
		}
		if key := [2]string{i.Service, i.ID}; ids[key] {
			errs = append(errs, fmt.Errorf("instance %q of %q: id: used twice", i.ID, i.Service))
		} else {
			ids[key] = true
		}
		if holders[i.Service] == nil {
			holders[i.Service] = map[int]string{}
		}
		if other, taken := holders[i.Service][i.Slot]; taken && i.Slot != NoSlot {
			errs = append(errs, fmt.Errorf("instance %q of %q: slot: %d is held by %q", i.ID, i.Service, i.Slot, other))
		}
		holders[i.Service][i.Slot] = i.ID
		i.Meta = maps.Clone(i.Meta)
		services[i.Service] = services[i.Service].with(i)
	}
	for _, s := range services {
		slices.SortFunc(s.Instances, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
	}
	return services, errors.Join(errs...)
}

// with returns s with one more instance, which holds its slot.
func (s Service) with(i Instance) Service {
	s.Instances = append(s.Instances, i)
	if i.Slot == NoSlot {
		return s
	}
	s.Slots = max(s.Slots, i.Slot+1)
	for len(s.Holders) < s.Slots {
		s.Holders = append(s.Holders, Holder{})
	}
	s.Holders[i.Slot] = Holder{ID: i.ID, Incarnation: i.Incarnation}
	return s
}
