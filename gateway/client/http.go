package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// retryAfterMax bounds what a Retry-After is believed, as the longest back-off
// of the protocol does.
const retryAfterMax = 300 * time.Second

// httpAnswer is an HTTP answer, read whole.
type httpAnswer struct {
	status int
	header http.Header
	body   []byte
}

// httpError is an HTTP answer that no gateway has explained: a proxy's, perhaps.
type httpError struct {
	status     int
	retryAfter time.Duration
}

func (e *httpError) Error() string {
	return fmt.Sprintf("HTTP %d %s", e.status, http.StatusText(e.status))
}

// retryAfter reads Retry-After in seconds; 0 when there is none that one could
// keep to.
func (a *httpAnswer) retryAfter() time.Duration {
	seconds, err := strconv.ParseUint(a.header.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0 // also a date: gateways send seconds
	}
	return min(time.Duration(seconds)*time.Second, retryAfterMax)
}

// refusal is the error of an answer that is none of those hoped for: what the
// gateway says in the CLOSE object that is the body, or else the status alone.
func (a *httpAnswer) refusal() error {
	f, err := wire.ParseJSON(a.body, wire.FromGateway)
	if err != nil || f.Type != wire.TypeClose {
		return &httpError{status: a.status, retryAfter: a.retryAfter()}
	}
	refused := &CloseError{Code: f.Code, Reason: string(f.Reason), RetryAfter: a.retryAfter()}
	var more struct {
		ReconnectAfterMS int64 `json:"reconnect_after_ms"` // the same to the millisecond
	}
	if json.Unmarshal(a.body, &more) == nil && more.ReconnectAfterMS > 0 && more.ReconnectAfterMS <= wire.DurationMSMax {
		refused.RetryAfter = time.Duration(more.ReconnectAfterMS) * time.Millisecond
	}
	return refused
}

// appendJSONWithin appends a JSON frame unless it is longer than maxBytes, where
// that is known (not 0).
func appendJSONWithin(dst []byte, f *wire.Frame, maxBytes int) ([]byte, error) {
	out, err := wire.AppendJSON(dst, f)
	if err != nil {
		return dst, err
	}
	if n := len(out) - len(dst); maxBytes > 0 && n > maxBytes {
		return dst, fmt.Errorf("a JSON frame of %d bytes, the gateway takes at most %d", n, maxBytes)
	}
	return out, nil
}
