package engine

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// fastMax is the mean run time up to which a command runs on its batch's own
// runner. Handing a packet to another goroutine costs about 1 us, so a command
// of 10 us gains little from a worker of its own, and 128 of them in a row take
// half of the default DeferAfter.
const fastMax = 10 * time.Microsecond

// commandsMax bounds the table. Clients choose commands freely, so only those
// that the handler knows (it does not answer UNIMPLEMENTED) are remembered.
const commandsMax = 1024

// class says how a command is run.
type class uint8

const (
	fast   class = iota // on the batch's runner, one after another
	medium              // on a worker; the batch waits for it
	slow                // on a worker; the batch does not wait for it
)

// command remembers how long a command's recent runs took.
type command struct {
	mean atomic.Int64 // nanoseconds, moving average
}

// observe moves the mean by an eighth towards took. About 30 runs make a slow
// command fast again, and one outlier of DeferAfter moves a fast one to the
// workers for as long. Updates that cross each other may be lost; it is a mean.
func (c *command) observe(took time.Duration) {
	mean := c.mean.Load()
	if moved := mean + (int64(took)-mean)/8; moved != mean {
		c.mean.Store(moved)
	}
}

func (c *command) class(deferAfter time.Duration) class {
	switch mean := time.Duration(c.mean.Load()); {
	case mean <= fastMax && fastMax <= deferAfter:
		return fast
	case mean <= deferAfter:
		return medium
	default:
		return slow
	}
}

// commands is the table of known commands: read without a lock on each packet,
// copied when a command comes for the first time.
type commands struct {
	table atomic.Pointer[map[string]*command]
	mu    sync.Mutex // held by writers
}

// find returns nil for a command that is not known yet.
func (c *commands) find(name string) *command {
	table := c.table.Load()
	if table == nil {
		return nil
	}
	return (*table)[name]
}

// add remembers a command with its first run time, unless the table is full.
func (c *commands) add(name string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.table.Load()
	grown := map[string]*command{}
	if old != nil {
		if (*old)[name] != nil || len(*old) >= commandsMax {
			return
		}
		grown = maps.Clone(*old)
	}
	known := &command{}
	known.mean.Store(int64(took))
	grown[name] = known
	c.table.Store(&grown)
}
