package kit

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// post is an outbox of ints whose calls take a second of fake time.
type post struct {
	*outbox[int]
	owner   owner
	batches [][]int
	dropped []int
}

func newPost(limits GatewaysConfig) *post {
	p := &post{}
	p.owner.start()
	p.outbox = &outbox[int]{
		limits: limits, spawn: p.owner.run, size: func(n int) int { return n },
		send: func(batch []int) {
			p.batches = append(p.batches, slices.Clone(batch))
			time.Sleep(time.Second)
		},
		drop: func(items []int, _ error) { p.dropped = append(p.dropped, items...) },
	}
	return p
}

func (p *post) mustPut(t *testing.T, items ...int) {
	t.Helper()
	if err := p.put(items...); err != nil {
		t.Fatalf("put(%v) = %v", items, err)
	}
}

func equal(t *testing.T, what string, got, want [][]int) {
	t.Helper()
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// TestBatchesGatherWhileOneIsUnderWay: the first item goes at once, what comes
// meanwhile goes together, in order.
func TestBatchesGatherWhileOneIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(GatewaysConfig{Batch: 3, BatchBytes: 100, Queue: 10, QueueBytes: 100})
		p.mustPut(t, 1)
		synctest.Wait()
		for n := 2; n <= 6; n++ {
			p.mustPut(t, n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "batches", p.batches, [][]int{{1}, {2, 3, 4}, {5, 6}})
		if !p.idle() {
			t.Error("not idle in the end")
		}
		p.mustPut(t, 7)
		p.owner.close()
		equal(t, "batches", p.batches, [][]int{{1}, {2, 3, 4}, {5, 6}, {7}})
	})
}

func TestBatchIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(GatewaysConfig{Batch: 10, BatchBytes: 10, Queue: 10, QueueBytes: 1000})
		p.mustPut(t, 4, 4, 4, 50, 1)
		p.owner.close()
		equal(t, "batches", p.batches, [][]int{{4, 4}, {4}, {50}, {1}})
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(GatewaysConfig{Batch: 2, BatchBytes: 100, Queue: 4, QueueBytes: 20})
		p.mustPut(t, 1)
		synctest.Wait() // under way
		p.mustPut(t, 1, 1, 1)
		if err := p.put(1, 1); !errors.Is(err, ErrQueueFull) {
			t.Errorf("put of two where one fits = %v, want ErrQueueFull", err)
		}
		if err := p.put(18); !errors.Is(err, ErrQueueFull) {
			t.Errorf("put beyond the bytes = %v, want ErrQueueFull", err)
		}
		p.mustPut(t, 17)
		p.owner.close()
		equal(t, "batches", p.batches, [][]int{{1}, {1, 1}, {1, 17}})
	})
}

func TestClosedOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(GatewaysConfig{Batch: 1, BatchBytes: 100, Queue: 4, QueueBytes: 100})
		p.mustPut(t, 1)
		synctest.Wait()
		p.mustPut(t, 2, 3)
		p.close(ErrGatewayLost)
		if err := p.put(4); !errors.Is(err, ErrGatewayLost) {
			t.Errorf("put after close = %v, want the reason", err)
		}
		p.owner.close()
		equal(t, "sent and dropped", append(p.batches, p.dropped), [][]int{{1}, {2, 3}})
		if err := newPostClosed().put(1); !errors.Is(err, ErrNotRunning) {
			t.Errorf("put without an owner = %v, want ErrNotRunning", err)
		}
	})
}

func newPostClosed() *post {
	p := newPost(GatewaysConfig{Batch: 1, BatchBytes: 1, Queue: 1, QueueBytes: 1})
	p.owner.close()
	return p
}
