package engine

const (
	draining = iota
	queueFull
	pastStartBy
	refusals
)

// Refusals names the indexes of Stats.Refused.
var Refusals = [refusals]Refusal{draining: Draining, queueFull: QueueFull, pastStartBy: PastStartBy}

// Stats counts what became of packets since New.
type Stats struct {
	Status   [statuses]uint64 // packets run, by status
	Refused  [refusals]uint64 // packets not run, in the order of Refusals
	Inline   uint64           // of those run: on their batch's runner
	Joined   uint64           // attempts of a packet that was running or waiting
	Repeated uint64           // repeats answered from memory
	Lost     uint64           // repeats whose answer was no longer kept
	Deferred uint64           // packets answered by Later
	Helped   uint64           // runners that came to the help of a stuck one

	Running  int // lanes drained by workers of their own now
	Runners  int // batches that have a runner now
	Waiting  int // packets waiting now
	Sessions int // remembered now
	Answers  int // kept now
}

func (s *Stats) count(a Answer, inline bool) {
	switch a.Refused {
	case NotRefused:
		s.Status[statusIndex(a.Status)]++
		if inline {
			s.Inline++
		}
	case Draining:
		s.Refused[draining]++
	case QueueFull:
		s.Refused[queueFull]++
	case PastStartBy:
		s.Refused[pastStartBy]++
	}
}

func statusIndex(status int32) int32 {
	if status < 0 || status >= statuses {
		return statusInternal
	}
	return status
}

// Stats adds up the counts of all shards.
func (e *Engine) Stats() Stats {
	var sum Stats
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		one := s.stats
		sum.Sessions += len(s.lanes)
		sum.Answers += s.kept.n
		s.mu.Unlock()
		for j, n := range one.Status {
			sum.Status[j] += n
		}
		for j, n := range one.Refused {
			sum.Refused[j] += n
		}
		sum.Inline += one.Inline
		sum.Joined += one.Joined
		sum.Repeated += one.Repeated
		sum.Lost += one.Lost
	}
	sum.Deferred = e.deferred.Load()
	sum.Helped = e.helped.Load()
	sum.Running, sum.Runners = e.pool.busy()
	sum.Waiting = int(e.waiting.Load())
	return sum
}
