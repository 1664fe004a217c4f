package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an engine whose handler does what each command says, and which records
// what ran and what was answered.
type rig struct {
	*Engine
	commands map[string]func(context.Context, *holdfast.Packet) Answer

	mu   sync.Mutex
	ran  []string // "session/seq" in the order of the handlers' begin
	late map[string]Answer
	told []string // the keys of late in the order of the answers
	seqs map[string]int64
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	r := &rig{late: map[string]Answer{}, seqs: map[string]int64{}}
	r.commands = map[string]func(context.Context, *holdfast.Packet) Answer{
		"say": echo,
		"nap": func(ctx context.Context, p *holdfast.Packet) Answer { // sleeps, and heeds its context
			d, err := time.ParseDuration(string(p.Payload))
			if err != nil {
				return Answer{Status: 3}
			}
			select {
			case <-time.After(d):
				return Answer{Payload: p.Payload}
			case <-ctx.Done():
				return Answer{Status: 4}
			}
		},
	}
	r.Engine = New(cfg, r.handle, r.later1)
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.Background()) }()
	t.Cleanup(func() {
		r.Close(context.Background())
		if err := <-ran; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return r
}

func (r *rig) handle(ctx context.Context, p *holdfast.Packet) Answer {
	r.mu.Lock()
	r.ran = append(r.ran, id(p))
	f := r.commands[p.Command]
	r.mu.Unlock()
	if f == nil {
		return Answer{Status: statusUnimplemented}
	}
	return f(ctx, p)
}

func (r *rig) later1(p *holdfast.Packet, a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, twice := r.late[id(p)]; twice {
		panic("answered twice: " + id(p))
	}
	r.late[id(p)] = a
	r.told = append(r.told, id(p))
}

// lateAnswer returns the answer that came after the Forward call.
func (r *rig) lateAnswer(t *testing.T, p *holdfast.Packet) Answer {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.late[id(p)]
	if !ok {
		t.Fatalf("%s was not answered late", id(p))
	}
	return a
}

func (r *rig) runs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ran...)
}

// packet makes the next packet of a session.
func (r *rig) packet(session, command, payload string) *holdfast.Packet {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seqs[session]++
	return &holdfast.Packet{
		Session: session, Seq: r.seqs[session], Command: command, Payload: []byte(payload), Attempt: 1, Gateway: "gw",
	}
}

// again makes a further attempt of a packet.
func again(p *holdfast.Packet, startBy int64) *holdfast.Packet {
	return &holdfast.Packet{
		Session: p.Session, Seq: p.Seq, Command: p.Command, Payload: p.Payload, Attempt: p.Attempt + 1,
		Gateway: p.Gateway, StartByMs: startBy,
	}
}

// id names a packet and its attempt.
func id(p *holdfast.Packet) string {
	if p.Attempt > 1 {
		return fmt.Sprintf("%s/%d.%d", p.Session, p.Seq, p.Attempt)
	}
	return fmt.Sprintf("%s/%d", p.Session, p.Seq)
}

// teach lets the engine learn how long a command takes.
func (r *rig) teach(command, payload string) {
	for i := range 3 {
		r.Forward([]*holdfast.Packet{r.packet(fmt.Sprintf("teacher-%s-%d", command, i), command, payload)})
		pass(time.Minute) // fake: until the slowest is done
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran = nil
}

// pass lets fake time pass, and everything that it wakes come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) forward(packets ...*holdfast.Packet) []*holdfast.Reply { return r.Forward(packets) }
