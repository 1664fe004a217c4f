package echo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
)

// Bounds of the commands.
const (
	UIDBytesMax  = 64
	SleepMSMax   = 60_000
	PushesMax    = 1000
	PadBytesMax  = 48 << 10
	pushTogether = 64 // pushes under way at a time: at most 3 MiB of a caller's
)

// Config holds what an operator may change.
type Config struct {
	// Kit is how the gateways reach this service.
	Kit kit.Config `koanf:"kit"`
}

// DefaultConfig returns the defaults. Kit.Listen must be given.
func DefaultConfig() Config {
	cfg := Config{Kit: kit.DefaultConfig()}
	cfg.Kit.Service = "echo"
	// echo.sleep sleeps for up to a minute, and a handler is cut off by this.
	cfg.Kit.HandlerTimeout = (SleepMSMax + 1000) * time.Millisecond
	return cfg
}

// Validate reports every setting that cannot work, each with its key.
func (c Config) Validate() error {
	err := c.Kit.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var errs []error
	for _, one := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("kit.%w", one))
	}
	return errors.Join(errs...)
}

// Service is a running echo.
type Service struct {
	*kit.Server
	log *slog.Logger
}

// New returns a service that is not listening yet; Run listens.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	s := &Service{log: log.With("component", "echo")}
	var err error
	s.Server, err = kit.New(cfg.Kit, kit.Backend{Connect: Connect, Handle: s.handle}, log, reg)
	if err != nil {
		return nil, fmt.Errorf("echo: %w", err)
	}
	return s, nil
}

// Run serves until ctx is done, then drains.
func (s *Service) Run(ctx context.Context) error {
	s.log.Warn("echo takes any token, so anyone can be anyone: it must not face the world")
	return s.Server.Run(ctx)
}

// Connect takes any token; its text is the uid.
func Connect(_ context.Context, l kit.Login) (kit.Identity, error) {
	switch n := len(l.Token); {
	case n == 0:
		return kit.Identity{UID: l.Session.ID}, nil
	case n > UIDBytesMax:
		return kit.Identity{}, kit.Refuse(kit.CloseUnauthenticated,
			fmt.Sprintf("token is %d bytes, echo takes at most %d", n, UIDBytesMax), 0)
	}
	return kit.Identity{UID: l.Token}, nil
}

func (s *Service) handle(ctx context.Context, p kit.Packet) ([]byte, error) {
	switch p.Command {
	case "echo.say":
		return p.Payload, nil
	case "echo.sleep":
		return sleep(ctx, p.Payload)
	case "echo.push":
		return s.push(ctx, p)
	case "echo.fail":
		return fail(p.Payload)
	default:
		return nil, kit.Fail(kit.Unimplemented, "no such command")
	}
}

func sleep(ctx context.Context, payload []byte) ([]byte, error) {
	var req struct {
		MS *int64 `json:"ms"`
	}
	if err := decode(payload, &req); err != nil {
		return nil, err
	}
	if req.MS == nil || *req.MS < 0 || *req.MS > SleepMSMax {
		return nil, kit.Fail(kit.InvalidArgument, fmt.Sprintf("ms: want 0 to %d", SleepMSMax))
	}
	t := time.NewTimer(time.Duration(*req.MS) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return fmt.Appendf(nil, `{"ms":%d}`, *req.MS), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Service) push(ctx context.Context, p kit.Packet) ([]byte, error) {
	var req struct {
		N    int `json:"n"`
		Size int `json:"size"`
	}
	if err := decode(p.Payload, &req); err != nil {
		return nil, err
	}
	if req.N < 1 || req.N > PushesMax {
		return nil, kit.Fail(kit.InvalidArgument, fmt.Sprintf("n: want 1 to %d", PushesMax))
	}
	if req.Size < 0 || req.Size > PadBytesMax {
		return nil, kit.Fail(kit.InvalidArgument, fmt.Sprintf("size: want 0 to %d", PadBytesMax))
	}
	pad := strings.Repeat("x", req.Size)
	for i := 0; i < req.N; i += pushTogether {
		if err := s.pushSome(ctx, p, pad, i, min(i+pushTogether, req.N)); err != nil {
			return nil, err
		}
	}
	return fmt.Appendf(nil, `{"n":%d}`, req.N), nil
}

// pushSome sends the pushes from first up to end and waits for all of them.
func (s *Service) pushSome(ctx context.Context, p kit.Packet, pad string, first, end int) error {
	type answer struct {
		r   kit.Result
		err error
	}
	answers := make(chan answer, end-first)
	for i := first; i < end; i++ {
		err := s.Pusher().PushAsync(p.Gateway, kit.Push{
			To: kit.ToSession(p.Session), Command: "echo.pushed", Reliable: true, Order: p.Session,
			Payload: fmt.Appendf(nil, `{"i":%d,"pad":"%s"}`, i, pad),
		}, func(r kit.Result, err error) { answers <- answer{r, err} })
		if err != nil {
			return kit.Fail(kit.ResourceExhausted, "too many pushes wait for the gateway")
		}
	}
	for range end - first {
		select {
		case a := <-answers:
			if a.err != nil || a.r.Delivered == 0 {
				return kit.Fail(kit.Unavailable, "the gateway did not take a push")
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func fail(payload []byte) ([]byte, error) {
	var req struct {
		Status int32 `json:"status"`
	}
	if err := decode(payload, &req); err != nil {
		return nil, err
	}
	status := kit.Status(req.Status)
	if status == kit.OK || !status.Valid() {
		return nil, kit.Fail(kit.InvalidArgument, "status: want 1 to 16")
	}
	return nil, kit.Fail(status, "as asked")
}

// decode reads a command's JSON payload.
func decode(payload []byte, into any) error {
	if err := json.Unmarshal(payload, into); err != nil {
		return kit.Fail(kit.InvalidArgument, "payload: want a JSON object with numbers")
	}
	return nil
}
