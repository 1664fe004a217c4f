package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/holdfast-io/holdfast/dispatcher/discovery/claim"
)

// registryKey stands beside the keys of a service's slots and tells a registry
// that lacks keys from one that has lost them.
const registryKey = "registry"

// registry is its value.
type registry struct {
	Generation string `json:"generation"` // random; another one after the keys were lost
	Settled    bool   `json:"settled"`    // whoever served before has had its time to come back

	index uint64
}

// slotValue is the value of a slot's key.
type slotValue struct {
	ID          string `json:"id"`
	Incarnation int64  `json:"incarnation"`
	Address     string `json:"address"`
	Claim       uint64 `json:"claim"`
	GoneMS      int64  `json:"gone_ms,omitempty"` // Unix milliseconds
	Free        bool   `json:"free,omitempty"`
}

// slotKeys is what Consul knows of a service's slots.
type slotKeys struct {
	registry *registry // nil: there is none
	keys     []claim.Key
	strange  []string // keys that are not ours
}

// folder is where the keys of service stand.
func (c *consulClient) folder(service string) string { return c.cfg.Prefix + "/" + service + "/" }

func (c *consulClient) slotKey(service string, slot int) string {
	return c.folder(service) + strconv.Itoa(slot)
}

// fetchKeys reads the keys of service.
func (c *consulClient) fetchKeys(service string, q *api.QueryOptions) (slotKeys, *api.QueryMeta, error) {
	pairs, meta, err := c.KV().List(c.folder(service), q)
	if err != nil {
		return slotKeys{}, nil, fmt.Errorf("read the slots of %s: %w", service, err)
	}
	var out slotKeys
	for _, p := range pairs {
		name := strings.TrimPrefix(p.Key, c.folder(service))
		if name == registryKey {
			if r := (registry{index: p.ModifyIndex}); json.Unmarshal(p.Value, &r) == nil && r.Generation != "" {
				out.registry = &r
				continue
			}
		}
		if k, ok := parseSlot(name, p); ok {
			out.keys = append(out.keys, k)
		} else {
			out.strange = append(out.strange, p.Key)
		}
	}
	slices.SortFunc(out.keys, func(a, b claim.Key) int { return a.Slot - b.Slot })
	return out, meta, nil
}

func parseSlot(name string, p *api.KVPair) (claim.Key, bool) {
	slot, err := strconv.Atoi(name)
	if err != nil || slot < 0 || slot > SlotMax || strconv.Itoa(slot) != name {
		return claim.Key{}, false
	}
	var v slotValue
	if json.Unmarshal(p.Value, &v) != nil {
		return claim.Key{}, false
	}
	k := claim.Key{
		Slot: slot, Holder: v.ID, Incarnation: v.Incarnation, Address: v.Address, Claim: v.Claim, Free: v.Free,
		Session: p.Session, Index: p.ModifyIndex,
	}
	if v.GoneMS != 0 {
		k.Gone = time.UnixMilli(v.GoneMS)
	}
	return k, true
}

func encodeSlot(k claim.Key) []byte {
	v := slotValue{ID: k.Holder, Incarnation: k.Incarnation, Address: k.Address, Claim: k.Claim, Free: k.Free}
	if !k.Gone.IsZero() {
		v.GoneMS = k.Gone.UnixMilli()
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic("discovery: a slot's value does not encode: " + err.Error())
	}
	return text
}

// putKey writes k over the one with its Index, or where there is none when that is
// 0, without touching its lock. It reports false when the key has changed.
func (c *consulClient) putKey(ctx context.Context, service string, k claim.Key) (bool, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	ok, _, err := c.KV().CAS(&api.KVPair{Key: c.slotKey(service, k.Slot), Value: encodeSlot(k), ModifyIndex: k.Index}, write(ctx))
	if err != nil {
		return false, fmt.Errorf("write slot %d of %s: %w", k.Slot, service, err)
	}
	return ok, nil
}

// putRegistry writes r, under the rules of putKey.
func (c *consulClient) putRegistry(ctx context.Context, service string, r registry) error {
	text, err := json.Marshal(r)
	if err != nil {
		panic("discovery: a registry does not encode: " + err.Error())
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	// When somebody else was faster, its value does as well.
	if _, _, err = c.KV().CAS(&api.KVPair{Key: c.folder(service) + registryKey, Value: text, ModifyIndex: r.index}, write(ctx)); err != nil {
		return fmt.Errorf("write the registry of %s: %w", service, err)
	}
	return nil
}

// lockKey does what a says: it writes k and locks it under k.Session, in one
// transaction. It reports false when the key has changed or the session is gone.
func (c *consulClient) lockKey(ctx context.Context, service string, k claim.Key, a claim.Action) (bool, error) {
	key := c.slotKey(service, k.Slot)
	guard := &api.KVTxnOp{Verb: api.KVCheckNotExists, Key: key}
	switch {
	case a.Former != "":
		// Takes the lock away with the key, so that nobody gets in between.
		guard = &api.KVTxnOp{Verb: api.KVDeleteCAS, Key: key, Index: a.Index}
	case a.Index != 0:
		guard = &api.KVTxnOp{Verb: api.KVCheckIndex, Key: key, Index: a.Index}
	}
	lock := &api.KVTxnOp{Verb: api.KVLock, Key: key, Value: encodeSlot(k), Session: k.Session}
	ctx, cancel := c.within(ctx)
	defer cancel()
	ok, _, _, err := c.Txn().Txn(api.TxnOps{{KV: guard}, {KV: lock}}, query(ctx))
	if err != nil {
		return false, fmt.Errorf("lock slot %d of %s: %w", k.Slot, service, err)
	}
	return ok, nil
}

// unlockKey writes k and gives up its lock. It does nothing when k.Session does
// not hold it any more.
func (c *consulClient) unlockKey(ctx context.Context, service string, k claim.Key) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	_, _, err := c.KV().Release(&api.KVPair{Key: c.slotKey(service, k.Slot), Value: encodeSlot(k), Session: k.Session}, write(ctx))
	if err != nil {
		return fmt.Errorf("give up slot %d of %s: %w", k.Slot, service, err)
	}
	return nil
}

// newSession begins a session that ends only by its TTL or by being destroyed: the
// health of a node is not that of an instance. Its locks are free at once when it
// ends.
func (c *consulClient) newSession(ctx context.Context, name string) (string, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	// api.SessionEntry cannot say that the lock delay is 0, which means 15 s there.
	body := map[string]any{
		"Name": name, "LockDelay": "0s", "Behavior": api.SessionBehaviorRelease,
		"TTL": c.cfg.SessionTTL.String(), "NodeChecks": []string{},
	}
	var out struct{ ID string }
	if _, err := c.Raw().Write("/v1/session/create", body, &out, write(ctx)); err != nil {
		return "", fmt.Errorf("begin a session: %w", err)
	}
	if out.ID == "" {
		return "", errors.New("begin a session: Consul named none")
	}
	return out.ID, nil
}

// renewSession reports false when there is no such session any more.
func (c *consulClient) renewSession(ctx context.Context, id string) (bool, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	entry, _, err := c.Session().Renew(id, write(ctx))
	if err != nil {
		return false, fmt.Errorf("renew the session: %w", err)
	}
	return entry != nil, nil
}

func (c *consulClient) endSession(ctx context.Context, id string) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	if _, err := c.Session().Destroy(id, write(ctx)); err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	return nil
}
