package dispatcher

import (
	"errors"
	"syscall"
	"time"

	"github.com/cloudwego/kitex/pkg/remote"
)

// outcome is what became of a call, as far as the dispatcher can know.
type outcome uint8

const (
	// answered: there is a reply for each packet.
	answered outcome = iota
	// notExecuted: the instance cannot have run any of it. It may be sent again.
	notExecuted
	// unknown: the instance may have run some of it, and may still begin with the rest.
	unknown
	// misanswered: the instance has answered, but not what the contract asks for. It
	// may have run some of it.
	misanswered
)

// verdict is an outcome with its reason.
type verdict struct {
	outcome outcome
	reason  Reason
	refused bool // the address took no connection: the process is gone
}

// stage is how far a call got.
type stage uint8

const (
	stageDialing stage = iota // no connection yet
	stageSending              // it has a connection, the request is not out
	stageSent                 // the whole request is with the kernel
)

// judge is the only place where an error of a call becomes an outcome.
//
// A request is one frame whose length comes first, and an instance begins with it
// once the frame is complete. So whatever fails before the last byte was handed
// to the kernel has not been executed. Only a write that timed out is in doubt:
// its last bytes may have gone out as it gave up.
func judge(err error, at stage) verdict {
	switch {
	case err == nil:
		return verdict{outcome: answered}
	case at == stageDialing:
		return verdict{notExecuted, ReasonInstanceDown, isRefused(err)}
	case isTimeout(err):
		return verdict{outcome: unknown, reason: ReasonTimeout}
	case at == stageSending:
		return verdict{outcome: notExecuted, reason: ReasonNotSent}
	}
	var remoteErr *remote.TransError
	if errors.As(err, &remoteErr) {
		switch remoteErr.TypeID() {
		case remote.UnknownMethod, remote.UnknownService, remote.NoServiceName:
			return verdict{outcome: notExecuted, reason: ReasonNotServed}
		case remote.ProtocolError:
			// The reply does not parse, or Kitex wraps a connection that broke in the
			// middle of one; either way nothing can be said of the packets.
			return verdict{outcome: unknown, reason: ReasonConnectionLost}
		}
		return verdict{outcome: misanswered, reason: ReasonBadReply}
	}
	return verdict{outcome: unknown, reason: ReasonConnectionLost}
}

// isRefused tells whether nobody listens at the address.
func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT)
}

// isTimeout tells whether err is a time-out of Kitex, netpoll or the kernel.
func isTimeout(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if t, ok := err.(interface{ Timeout() bool }); ok && t.Timeout() {
			return true
		}
	}
	return false
}

// said is an instance's answer to one packet.
type said struct {
	status      int32
	payload     []byte
	notExecuted bool
	reason      string
	retryAfter  time.Duration
}
