package dispatcher

// breaker keeps requests away from an instance that fails. It sees what became of
// each packet, at its answer or its deadline; what a backend says with a status
// of its own is no failure.
type breaker interface {
	// allow tells whether the instance may be picked. It is asked for each request.
	allow() bool
	// record tells what became of packets.
	record(o outcome, packets int)
}

// alwaysClosed lets everything pass.
type alwaysClosed struct{}

func (alwaysClosed) allow() bool         { return true }
func (alwaysClosed) record(outcome, int) {}
