package logic

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/store"
)

// retryAfter is what a client is told when the store is full or does not work:
// long enough for a queue of writers to empty, short enough not to be noticed.
const retryAfter = 500 * time.Millisecond

// failure is the only place where an error of the store becomes a status. The
// client reads the text; the cause is for the log.
func failure(err error) error {
	switch {
	case errors.Is(err, store.ErrBusy):
		return fail(kit.ResourceExhausted, "busy", "not stored: too much to store; send it again later", retryAfter)
	case errors.Is(err, store.ErrUnknown):
		return fail(kit.Unknown, "store_unknown", "it may be stored; send it again with the same client_msg_id", 0)
	default: // nothing was written, or it was only a read
		return fail(kit.Unavailable, "store_unavailable", "not done: the store does not answer; send it again later", retryAfter)
	}
}

// fail ends a packet with the same payload as the gateway's own refusals have.
func fail(status kit.Status, reason, message string, retry time.Duration) error {
	payload, err := json.Marshal(struct {
		Message      string `json:"message"`
		Reason       string `json:"reason"`
		RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
	}{message, reason, retry.Milliseconds()})
	if err != nil { // cannot be: texts and a number always encode
		return err
	}
	return kit.FailPayload(status, payload)
}
