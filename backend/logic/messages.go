package logic

import (
	"context"
	"errors"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/store"
)

// handle runs one request. It blocks as long as the store does.
func (s *Service) handle(ctx context.Context, p kit.Packet) ([]byte, error) {
	switch p.Command {
	case "msg.send":
		return s.send(ctx, p)
	case "msg.pull":
		return s.pull(ctx, p)
	}
	return nil, kit.Fail(kit.Unimplemented, "unknown command")
}

// send stores a message and lets delivery know before it answers, in the order of
// commits.
func (s *Service) send(ctx context.Context, p kit.Packet) ([]byte, error) {
	draft, err := parseSend(p.UID, p.Payload, s.cfg.Messages.ContentBytes)
	if err != nil {
		return nil, kit.Fail(kit.InvalidArgument, err.Error())
	}
	stored, err := s.store.Send(ctx, draft, func(st store.Stored) {
		s.delivery.offer(job{stored: st, session: p.Session})
	})
	if err != nil {
		return nil, s.storeFailed("send", err)
	}
	return sendReply(stored), nil
}

// pull reads a part of the user's own timeline.
func (s *Service) pull(ctx context.Context, p kit.Packet) ([]byte, error) {
	page, err := parsePull(p.UID, p.Payload)
	if err != nil {
		return nil, kit.Fail(kit.InvalidArgument, err.Error())
	}
	// Enough to fill the reply; the encoder cuts it to the byte.
	page.ContentBytesMax = s.cfg.Messages.PullBytes
	entries, more, err := s.store.Pull(ctx, page)
	if err != nil {
		return nil, s.storeFailed("pull", err)
	}
	return pullReply(entries, more, s.cfg.Messages.PullBytes), nil
}

// storeFailed turns an error of the store into the client's status. It logs the
// cause at most once a second: a store that fails fails for everyone. A full queue
// is overload, which the metrics show.
func (s *Service) storeFailed(operation string, err error) error {
	if !errors.Is(err, store.ErrBusy) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		s.failures.Do(func() { s.log.Error("store", "operation", operation, "error", err) })
	}
	return failure(err)
}
