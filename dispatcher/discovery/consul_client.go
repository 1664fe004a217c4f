package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	// retryMin and retryMax bound the pause after a failed call. The longest is
	// short, since a process asks an agent near it and not one server for all.
	retryMin = 50 * time.Millisecond
	retryMax = time.Second
	// queryPause keeps a service that changes all the time from being read all the
	// time.
	queryPause = 30 * time.Millisecond
)

// consulClient is how Consul is called: each call has a deadline.
type consulClient struct {
	*api.Client
	cfg       ConsulConfig
	transport *http.Transport
}

func newConsulClient(cfg ConsulConfig) (*consulClient, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("consul config: %w", err)
	}
	if !cfg.Enabled() {
		return nil, errors.New("consul config: address: empty")
	}
	scheme, host := splitScheme(cfg.Address)
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: cfg.Timeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: cfg.Timeout,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     time.Minute,
	}
	if scheme == "https" {
		tls, err := api.SetupTLSConfig(&api.TLSConfig{
			Address: cfg.TLS.ServerName, CAFile: cfg.TLS.CA, CertFile: cfg.TLS.Cert, KeyFile: cfg.TLS.Key,
		})
		if err != nil {
			return nil, fmt.Errorf("consul config: tls: %w", err)
		}
		transport.TLSClientConfig = tls
	}
	client, err := api.NewClient(&api.Config{
		Address: host, Scheme: scheme, Token: cfg.Token, Datacenter: cfg.Datacenter, Namespace: cfg.Namespace,
		HttpClient: &http.Client{Transport: &tokenFile{path: cfg.TokenFile, next: transport}},
	})
	if err != nil {
		return nil, fmt.Errorf("consul config: %w", err)
	}
	return &consulClient{Client: client, cfg: cfg, transport: transport}, nil
}

// close gives back the connections.
func (c *consulClient) close() { c.transport.CloseIdleConnections() }

// within bounds a call that does not wait for a change.
func (c *consulClient) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.cfg.Timeout)
}

func query(ctx context.Context) *api.QueryOptions { return new(api.QueryOptions).WithContext(ctx) }
func write(ctx context.Context) *api.WriteOptions { return new(api.WriteOptions).WithContext(ctx) }

// follow asks again and again with fetch, until ctx is done, and calls what fetch
// returned when its answer counts. After an error, which goes to failed, and when
// Consul's index has gone back, it asks for the present state again, and then wants
// it consistent: a server that has just become the leader may answer plain queries
// from before its last changes.
func (c *consulClient) follow(ctx context.Context, fetch func(*api.QueryOptions) (func(), *api.QueryMeta, error), failed func(error)) {
	var index uint64
	var retry backoff
	for ctx.Err() == nil {
		bound := c.cfg.Timeout
		if index > 0 {
			bound += c.cfg.Wait + c.cfg.Wait/16 // Consul adds up to a sixteenth
		}
		qctx, cancel := context.WithTimeout(ctx, bound)
		q := query(qctx)
		q.WaitIndex, q.WaitTime, q.RequireConsistent = index, c.cfg.Wait, index == 0
		answer, meta, err := fetch(q)
		cancel()
		pause := queryPause
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return
			}
			failed(err)
			index, pause = 0, retry.next()
		case meta.LastIndex < index:
			index, retry = 0, backoff{}
		default:
			answer()
			index, retry = max(meta.LastIndex, 1), backoff{} // 0 would not wait
		}
		sleep(ctx, pause)
	}
}

// backoff is the pause after a failure: it doubles, with jitter, up to retryMax.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, retryMin), retryMax)
	return b.last/2 + rand.N(b.last/2+1)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// unknownTo tells whether Consul answered, and does not know what it was asked for.
func unknownTo(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

// tokenFile puts the token of a file onto each request. A token is replaced by
// replacing the file.
type tokenFile struct {
	path string // empty: requests stay as they are
	next http.RoundTripper

	mu    sync.Mutex // guards the following
	token string
	read  time.Time // the file's time when it was read
}

// RoundTrip implements http.RoundTripper.
func (f *tokenFile) RoundTrip(req *http.Request) (*http.Response, error) {
	if f.path == "" {
		return f.next.RoundTrip(req)
	}
	token, err := f.load()
	if err != nil {
		return nil, fmt.Errorf("token_file: %w", err)
	}
	req = req.Clone(req.Context()) // a RoundTripper must not change its request
	req.Header.Set("X-Consul-Token", token)
	return f.next.RoundTrip(req)
}

func (f *tokenFile) load() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stat, err := os.Stat(f.path)
	if err != nil {
		return "", err
	}
	if !stat.ModTime().Equal(f.read) {
		text, err := os.ReadFile(f.path)
		if err != nil {
			return "", err
		}
		f.token, f.read = strings.TrimSpace(string(text)), stat.ModTime()
	}
	return f.token, nil
}
