package store

import "time"

// A message id is, from its high bits to its low ones: 41 bits of milliseconds
// since idEpoch, 12 bits of counter, 10 bits of worker. The worker stands lowest
// so that adding idStep gives the same worker's next id and a counter that runs
// over simply borrows from the next millisecond. The epoch lies far enough back
// that every id has 19 decimal digits until 2079: ids compare as texts too.
var idEpoch = time.Date(2010, time.January, 1, 0, 0, 0, 0, time.UTC)

const (
	idWorkerBits  = 10
	idCounterBits = 12
	idStep        = 1 << idWorkerBits
)

// idFloor returns the smallest id that worker may give out at now.
func idFloor(now time.Time, worker int64) int64 {
	ms := max(now.Sub(idEpoch).Milliseconds(), 1)
	return ms<<(idWorkerBits+idCounterBits) | worker
}

// nextID returns the id that follows last. A clock that steps back slows
// nothing and repeats nothing: ids then go on from the last one.
func nextID(last int64, now time.Time, worker int64) int64 {
	return max(last+idStep, idFloor(now, worker))
}
