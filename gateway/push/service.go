package push

import (
	"context"
	"fmt"

	"github.com/holdfast-io/holdfast/gateway/session"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// The bounds of lists, as the contract states them.
const (
	pushItemsMax      = 4096
	replyItemsMax     = 4096
	kickItemsMax      = 1024
	subscribeItemsMax = 1024
	inspectMax        = 1000
	topicBytesMax     = 128
)

// Gateway is what the service asks of the gateway it belongs to.
type Gateway interface {
	// Self is the gateway's name and epoch.
	Self() (name string, epoch int64)
	// Address is where this service is reached.
	Address() string
	// Draining reports whether clients are being sent away.
	Draining() bool
	// Incarnation tells that a backend process spoke as this incarnation.
	Incarnation(incarnation int64)
}

// Service implements the contract's Gateway.
type Service struct {
	sessions *session.Registry
	gateway  Gateway
	slow     func(command []byte) session.Slow
	metrics  *Metrics
}

// NewService returns the service over sessions. slow says what becomes of a
// command's transient pushes when a client reads too slowly; nil drops the oldest.
func NewService(sessions *session.Registry, g Gateway, slow func(command []byte) session.Slow, m *Metrics) *Service {
	if slow == nil {
		slow = func([]byte) session.Slow { return session.SlowDropOldest }
	}
	return &Service{sessions: sessions, gateway: g, slow: slow, metrics: m}
}

var _ holdfast.Gateway = (*Service)(nil)

// Reply brings answers that Forward deferred. Answers for one session that
// follow one another are written together.
func (s *Service) Reply(_ context.Context, req *holdfast.ReplyRequest) (*holdfast.ReplyReply, error) {
	if n := len(req.Replies); n > replyItemsMax {
		return nil, tooMany("replies", n, replyItemsMax)
	}
	s.gateway.Incarnation(req.Incarnation)
	accepted := int32(0)
	var last *session.Session
	for _, r := range req.Replies {
		if r == nil || r.Reply == nil || r.Reply.Deferred {
			s.metrics.replies[replyInvalid].Inc()
			continue
		}
		to := s.sessions.ByID(r.Session)
		if last != nil && to != last {
			last.Flush()
		}
		last = to
		if to == nil || !to.Upstream().Answer(r.Service, r.Seq, r.Attempt, r.Reply.Status, r.Reply.Payload,
			r.Reply.NotExecuted, r.Reply.Reason, millis(r.Reply.RetryAfterMs)) {
			s.metrics.replies[replyLate].Inc()
			continue
		}
		s.metrics.replies[replyAccepted].Inc()
		accepted++
	}
	if last != nil {
		last.Flush()
	}
	return &holdfast.ReplyReply{Accepted: accepted}, nil
}

// Subscribe moves sessions in and out of topics.
func (s *Service) Subscribe(_ context.Context, req *holdfast.SubscribeRequest) (*holdfast.SubscribeReply, error) {
	if n := len(req.Items); n > subscribeItemsMax {
		return nil, tooMany("items", n, subscribeItemsMax)
	}
	results := make([]holdfast.SubscribeResult_, len(req.Items))
	for i, item := range req.Items {
		results[i] = s.subscribe(item)
	}
	return &holdfast.SubscribeReply{Results: results}, nil
}

func (s *Service) subscribe(item *holdfast.SubscribeItem) holdfast.SubscribeResult_ {
	if item == nil || !validTopics(item.Join) || !validTopics(item.Leave) {
		return holdfast.SubscribeResult__INVALID
	}
	to := s.sessions.ByID(item.Session)
	if to == nil {
		return holdfast.SubscribeResult__NO_SESSION
	}
	switch s.sessions.Subscribe(to, item.Join, item.Leave) {
	case session.TopicsTooMany:
		return holdfast.SubscribeResult__TOO_MANY
	case session.TopicsNoSession:
		return holdfast.SubscribeResult__NO_SESSION
	default:
		return holdfast.SubscribeResult__DONE
	}
}

// topicListMax bounds a list of topics before anything is compared with it.
const topicListMax = 4096

func validTopics(topics []string) bool {
	if len(topics) > topicListMax {
		return false
	}
	for _, t := range topics {
		if len(t) == 0 || len(t) > topicBytesMax {
			return false
		}
	}
	return true
}

// tooMany refuses a whole call, naming the field and the limit.
func tooMany(field string, n, limit int) error {
	return fmt.Errorf("%s: %d items, at most %d", field, n, limit)
}
