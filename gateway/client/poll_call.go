package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

const (
	pollPath = "/v1/poll"
	// pollBodyBytesMax bounds the body of an answer. A gateway answers a GET
	// with all that it keeps for the session: an outbound queue of 1 MiB and
	// as much of replies at its defaults, a third more as base64.
	pollBodyBytesMax = 32 << 20
	// pollHeadBytesMax bounds the head of an answer.
	pollHeadBytesMax = 32 << 10
	// pollTriesMax is how often a call is made before its connection counts as
	// lost. Repeating a call is harmless: ids and seqs make it so.
	pollTriesMax = 3
	// pollIdleTime closes an HTTP connection that no call uses, before a gateway
	// does (75 s by default): a POST on one that is just being closed would have
	// to be repeated.
	pollIdleTime = 60 * time.Second
)

// pollClient makes the HTTP calls of a long-poll session. Several may be under
// way at once.
type pollClient struct {
	http    *http.Transport
	base    string // scheme://host:port
	bearer  string // "<session>.<secret>"; empty before WELCOME
	backoff Backoff
	random  func() float64

	ctx    context.Context // ends with close; lives exactly as long as the transport
	cancel context.CancelFunc
}

func newPollClient(d *dialer, to target) *pollClient {
	scheme := "http://"
	if secure[to.transport] {
		scheme = "https://"
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &pollClient{
		http: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return d.dial(ctx, network, address)
			},
			TLSClientConfig:        d.tlsFor(to, alpnHTTP),
			TLSHandshakeTimeout:    d.within,
			MaxConnsPerHost:        3, // a GET, a POST, and one that is being replaced
			IdleConnTimeout:        pollIdleTime,
			MaxResponseHeaderBytes: pollHeadBytesMax,
			DisableCompression:     true,
		},
		base:    scheme + to.address,
		backoff: d.backoff,
		random:  d.random,
		ctx:     ctx,
		cancel:  cancel,
	}
}

// close ends the calls under way, and the connections.
func (p *pollClient) close() {
	p.cancel()
	p.http.CloseIdleConnections()
}

// once makes one call, within timeout.
func (p *pollClient) once(method, path string, body []byte, timeout time.Duration) (*httpAnswer, error) {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if p.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+p.bearer)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	// The transport alone: a redirect must not carry the bearer elsewhere.
	resp, err := p.http.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, pollPath, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, pollBodyBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, pollPath, err)
	}
	if len(b) > pollBodyBytesMax {
		return nil, fmt.Errorf("%s %s: an answer of more than %d bytes", method, pollPath, pollBodyBytesMax)
	}
	return &httpAnswer{status: resp.StatusCode, header: resp.Header, body: b}, nil
}

// call makes a call of a session until it is answered as hoped for, up to
// pollTriesMax times, each within timeout, with a rest between them: Retry-After
// where there is one, else back-off.
func (p *pollClient) call(method, path string, body []byte, timeout time.Duration) (*httpAnswer, error) {
	for try := 1; ; try++ {
		a, err := p.once(method, path, body, timeout)
		if err == nil {
			if a.status == http.StatusOK || a.status == http.StatusAccepted || a.status == http.StatusNoContent {
				return a, nil
			}
			err = p.sessionRefusal(a)
		}
		again, rest := repeatable(err)
		if !again || try == pollTriesMax {
			return nil, err
		}
		if rest == 0 {
			rest = p.backoff.rest(try-1, p.random)
		}
		if err := p.rest(rest); err != nil {
			return nil, err
		}
	}
}

// rest waits, unless close comes first.
func (p *pollClient) rest(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ctx.Done():
		return net.ErrClosed
	}
}

// repeatable says whether a call that failed with err may succeed when it is
// made again, and how long the gateway wants us to rest before. That a gateway
// is busy with our last POST, or with others, is no fate of the session's.
func repeatable(err error) (again bool, rest time.Duration) {
	if closed, ok := errors.AsType[*CloseError](err); ok {
		switch closed.Code {
		case wire.CloseRateLimited, wire.CloseOverloaded, wire.CloseBackendUnavailable:
			return true, closed.RetryAfter
		}
		return false, 0
	}
	if e, ok := errors.AsType[*httpError](err); ok { // 401 and 410 are none of these
		again := e.status >= 500 || e.status == http.StatusTooManyRequests || e.status == http.StatusRequestTimeout
		return again, e.retryAfter
	}
	return !errors.Is(err, context.Canceled), 0
}

// errNoBearer means that no session of the gateway's has a poll connection under
// our bearer. It may have forgotten the session, or only closed its connection:
// a HELLO that asks for a resume finds out.
var errNoBearer = errors.New("the gateway has no such poll connection")

// sessionRefusal is the refusal of a call that carried the bearer.
func (p *pollClient) sessionRefusal(a *httpAnswer) error {
	err := a.refusal()
	closed, ok := errors.AsType[*CloseError](err)
	switch {
	case ok && (closed.Code == wire.CloseNormal || closed.Code == wire.CloseSessionExpired),
		!ok && (a.status == http.StatusUnauthorized || a.status == http.StatusGone):
		return fmt.Errorf("%w: %w", errNoBearer, &httpError{status: a.status})
	}
	return err
}
