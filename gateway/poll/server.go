package poll

import (
	"log/slog"

	"github.com/holdfast-io/holdfast/gateway/wheel"
)

// Server answers the calls of long poll and SSE. Its methods may be called from
// any goroutine and never block.
type Server struct {
	cfg     Config
	gw      Gateway
	wheel   *wheel.Wheel
	metrics *Metrics
	log     *slog.Logger
}

// New returns a Server. cfg must be valid.
func New(cfg Config, gw Gateway, wheel *wheel.Wheel, m *Metrics, log *slog.Logger) *Server {
	return &Server{cfg: cfg, gw: gw, wheel: wheel, metrics: m, log: log}
}

// Serve answers one call, now or later: POST, GET and DELETE of /v1/poll, POST of
// /v1/poll/frames, GET of /v1/events, and 405 otherwise. Other paths, OPTIONS and
// Origin are the caller's.
func (s *Server) Serve(call Call) {}
