package kit

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrQueueFull means that more waits for a gateway than the configuration
	// allows. Nothing was sent.
	ErrQueueFull = errors.New("kit: queue for the gateway is full")
	// ErrNotRunning means that the server has not started or has ended.
	ErrNotRunning = errors.New("kit: server is not running")
	// ErrGatewayLost means that the gateway is gone: its lease ran out, or its
	// address came back with another epoch.
	ErrGatewayLost = errors.New("kit: gateway lost")
	// ErrInvalidPush means that a push breaks a limit of the contract. The text
	// names the field. Nothing was sent.
	ErrInvalidPush = errors.New("kit: invalid push")
)

// Target names who gets a push: a session, every session of a user, every
// subscriber of a topic, or everyone at the gateway. The zero value names nobody.
type Target struct {
	kind targetKind
	name string
}

type targetKind uint8

const (
	toNobody targetKind = iota
	toSession
	toUID
	toTopic
	toAll
)

// ToSession names one session.
func ToSession(id string) Target { return Target{toSession, id} }

// ToUID names every session of a user.
func ToUID(uid string) Target { return Target{toUID, uid} }

// ToTopic names every session subscribed to a topic of 1 to 128 bytes.
func ToTopic(topic string) Target { return Target{toTopic, topic} }

// ToAll names every session of the gateway.
func ToAll() Target { return Target{kind: toAll} }

// Push is one push to one target.
type Push struct {
	To      Target
	Command string // 1 to 64 bytes of a-z 0-9 . _ -
	Payload []byte // belongs to the kit until the push has been answered
	// Reliable pushes get a number and are kept by the gateway until the client
	// has acknowledged them. Others may be dropped for a slow client.
	Reliable bool
	// Key lets a newer transient push replace an older one of the same key that
	// still waits for a slow client; at most 64 bytes.
	Key string
	// TTL is how long a transient push is worth sending; 0: always.
	TTL time.Duration
	// ExceptSession leaves out one session of the target.
	ExceptSession string
	// Order is the order key: pushes to one gateway with the same key arrive in
	// the order in which they were given to the Pusher. Pushes with different
	// keys may overtake each other. Empty is a key like any other, so pushes that
	// do not say otherwise all keep their order.
	Order string
}

// PushRefusal says why sessions did not take a push.
type PushRefusal string

// The refusals of a gateway.
const (
	NotRefused    PushRefusal = ""
	NoSession     PushRefusal = "no_session" // nobody there by that name
	SlowClient    PushRefusal = "queue_full" // a slow client's queue is full; it is being cut
	InvalidPush   PushRefusal = "invalid"    // breaks a limit of the contract
	PushTooLarge  PushRefusal = "too_large"  // does not fit the gateway's max_frame
	UnknownReason PushRefusal = "unknown"    // said by a newer gateway
)

// Result tells what became of a push.
type Result struct {
	Delivered int         // how many sessions took it
	Refused   int         // how many sessions are there and could not
	Refusal   PushRefusal // why, when Refused > 0 or Delivered = 0
	Message   string      // names the field and the limit for InvalidPush and PushTooLarge
}

// Validate reports the first field that breaks the contract's limits.
func (p *Push) Validate() error {
	switch {
	case p.To.kind == toNobody:
		return fmt.Errorf("%w: to: no target", ErrInvalidPush)
	case p.To.kind != toAll && p.To.name == "":
		return fmt.Errorf("%w: to: empty name", ErrInvalidPush)
	case p.To.kind == toTopic && len(p.To.name) > topicBytesMax:
		return fmt.Errorf("%w: to: topic of %d bytes, at most %d", ErrInvalidPush, len(p.To.name), topicBytesMax)
	case !validCommand(p.Command):
		return fmt.Errorf("%w: command: want 1 to %d bytes of a-z 0-9 . _ -", ErrInvalidPush, commandBytesMax)
	case len(p.Key) > keyBytesMax:
		return fmt.Errorf("%w: key: %d bytes, at most %d", ErrInvalidPush, len(p.Key), keyBytesMax)
	case p.TTL < 0:
		return fmt.Errorf("%w: ttl: %v is negative", ErrInvalidPush, p.TTL)
	}
	return nil
}

const (
	commandBytesMax = 64
	topicBytesMax   = 128
	keyBytesMax     = 64
)

func validCommand(s string) bool {
	if s == "" || len(s) > commandBytesMax {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
