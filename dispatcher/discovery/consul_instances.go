package discovery

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"
)

// Metadata of a service registration that has a meaning of its own here. All other
// metadata is the Instance's Meta.
const (
	metaID          = "id"          // absent: the service id of Consul
	metaSlot        = "slot"        // for people, and for a slot without a key
	metaZone        = "zone"        // where it runs
	metaIncarnation = "incarnation" // one life of its process
	metaAddress     = "address"     // what Consul's address and port cannot say: a unix socket
)

// fetchInstances reads the instances of service whose checks pass, by id.
func (c *consulClient) fetchInstances(service string, q *api.QueryOptions) ([]Instance, *api.QueryMeta, error) {
	entries, meta, err := c.Health().Service(service, "", true, q)
	if err != nil {
		return nil, nil, fmt.Errorf("read the instances of %s: %w", service, err)
	}
	out := make([]Instance, 0, len(entries))
	for _, e := range entries {
		if e.Service != nil {
			out = append(out, instanceOf(service, e))
		}
	}
	slices.SortFunc(out, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) })
	return out, meta, nil
}

// instanceOf reads a registration. Its Slot is what its metadata says.
func instanceOf(service string, e *api.ServiceEntry) Instance {
	i := Instance{ID: e.Service.ID, Service: service, Slot: NoSlot}
	host := e.Service.Address
	if host == "" && e.Node != nil {
		host = e.Node.Address
	}
	i.Address = net.JoinHostPort(host, strconv.Itoa(e.Service.Port))
	for key, value := range e.Service.Meta {
		switch key {
		case metaID:
			i.ID = value
		case metaSlot:
			if slot, err := strconv.Atoi(value); err == nil && slot >= 0 && slot <= SlotMax {
				i.Slot = slot
			}
		case metaZone:
			i.Zone = value
		case metaIncarnation:
			i.Incarnation, _ = strconv.ParseInt(value, 10, 64) // 0, not told, when it is no number
		case metaAddress:
			i.Address = value
		default:
			if i.Meta == nil {
				i.Meta = map[string]string{}
			}
			i.Meta[key] = value
		}
	}
	return i
}

// serviceID names the registration at its agent, which may have several services.
func (r Registration) serviceID() string { return r.Service + ":" + r.ID }

// register announces r with slot; its check passes from now on for CheckTTL.
func (c *consulClient) register(ctx context.Context, r Registration, slot int) error {
	s := &api.AgentServiceRegistration{
		ID: r.serviceID(), Name: r.Service, Meta: maps.Clone(r.Meta),
		Check: &api.AgentServiceCheck{
			CheckID: r.checkID(), TTL: c.cfg.CheckTTL.String(), Status: api.HealthPassing,
			DeregisterCriticalServiceAfter: c.cfg.DeregisterAfter.String(),
		},
	}
	if s.Meta == nil {
		s.Meta = map[string]string{}
	}
	s.Meta[metaID] = r.ID
	s.Meta[metaIncarnation] = strconv.FormatInt(r.Incarnation, 10)
	if r.Zone != "" {
		s.Meta[metaZone] = r.Zone
	}
	if slot != NoSlot {
		s.Meta[metaSlot] = strconv.Itoa(slot)
	}
	network, target, err := SplitAddress(r.Address)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if network == "unix" {
		s.Meta[metaAddress] = "unix:" + target
	} else {
		host, port, _ := net.SplitHostPort(target) // SplitAddress has seen that it can be split
		s.Address = host
		s.Port, _ = strconv.Atoi(port) // and that it is a number
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	// Checks that an earlier registration had go with it.
	opts := api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
	if err := c.Agent().ServiceRegisterOpts(s, opts); err != nil {
		return fmt.Errorf("register %s: %w", s.ID, err)
	}
	return nil
}

func (r Registration) checkID() string { return "ttl:" + r.serviceID() }

// touch gives a sign of life for r.
func (c *consulClient) touch(ctx context.Context, r Registration) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	if err := c.Agent().UpdateTTLOpts(r.checkID(), "", api.HealthPassing, query(ctx)); err != nil {
		return fmt.Errorf("touch %s: %w", r.serviceID(), err)
	}
	return nil
}

// deregister takes r back.
func (c *consulClient) deregister(ctx context.Context, r Registration) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	if err := c.Agent().ServiceDeregisterOpts(r.serviceID(), query(ctx)); err != nil && !unknownTo(err) {
		return fmt.Errorf("deregister %s: %w", r.serviceID(), err)
	}
	return nil
}
