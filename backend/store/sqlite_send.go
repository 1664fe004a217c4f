package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// sqliteWorker is the worker of all message ids here: the last one stands in the
// database, so processes that share the file share it.
const sqliteWorker = 0

// Send stores d, unless its (Sender, ClientMsgID) was stored before. It blocks
// until the message is on the disk: for the turn (at most WriteWait, or until ctx
// is done) and for the transaction, which ctx does not interrupt. Errors wrap
// ErrNotStored or ErrUnknown.
//
// committed, when given, is called for a new message after its commit and before
// the next message of anyone is stored, so its calls come in the order of all
// positions. It must not block nor call the store.
func (s *SQLite) Send(ctx context.Context, d Draft, committed func(Stored)) (Stored, error) {
	since := time.Now()
	st, err := s.send(ctx, d, committed)
	switch {
	case errors.Is(err, ErrUnknown):
		s.m.wrote(outcomeUnknown, since)
	case err != nil:
		s.m.wrote(outcomeNotStored, since)
	case st.Repeated:
		s.m.wrote(outcomeRepeated, since)
	default:
		s.m.wrote(outcomeStored, since)
	}
	return st, err
}

func (s *SQLite) send(ctx context.Context, d Draft, committed func(Stored)) (Stored, error) {
	if err := s.turn.take(ctx); err != nil {
		return Stored{}, notStored("turn", err)
	}
	defer s.turn.give()
	// From here the caller's deadline would only turn a known outcome into an
	// unknown one: what is left is bounded by the busy time-out and the disk.
	ctx = context.WithoutCancel(ctx)
	if s.w == nil {
		w, err := newWriter(ctx, s.writes)
		if err != nil {
			return Stored{}, notStored("open writer", err)
		}
		s.w = w
	}
	st, err := s.w.transact(ctx, d, s.now())
	if err != nil && !s.w.settle(ctx, err) {
		s.w.discard()
		s.w = nil
	}
	if err == nil && !st.Repeated && committed != nil {
		committed(st)
	}
	return st, err
}

// settle rolls back what failed with err and reports whether the connection is
// fit for the next transaction.
func (w *writer) settle(ctx context.Context, err error) bool {
	rolledBack := w.exec(ctx, "ROLLBACK") == nil
	return rolledBack && !errors.Is(err, ErrUnknown)
}

// transact stores d in one transaction.
func (w *writer) transact(ctx context.Context, d Draft, now time.Time) (Stored, error) {
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return Stored{}, notStored("begin", err)
	}
	st, err := w.sentBefore(ctx, d)
	if err == nil && !st.Repeated {
		st, err = w.write(ctx, d, now)
	}
	if err != nil {
		return Stored{}, notStored("write", err)
	}
	end := "COMMIT"
	if st.Repeated {
		end = "ROLLBACK" // nothing was written: no flush
	}
	if err := w.exec(ctx, end); err != nil {
		return Stored{}, fmt.Errorf("%w: commit: %w", ErrUnknown, err)
	}
	return st, nil
}

// sentBefore looks for what (Sender, ClientMsgID) became the first time.
func (w *writer) sentBefore(ctx context.Context, d Draft) (st Stored, err error) {
	err = w.stmts[sqlSent].QueryRowContext(ctx, d.Sender, d.ClientMsgID).
		Scan(&st.ID, &st.Conversation, &st.Seq, &st.TimeMS)
	if errors.Is(err, sql.ErrNoRows) {
		return Stored{}, nil
	}
	st.Repeated = err == nil
	return st, err
}

// write makes all rows of a new message.
func (w *writer) write(ctx context.Context, d Draft, now time.Time) (Stored, error) {
	st := Stored{Message: Message{From: d.Sender, To: d.Receiver, ClientMsgID: d.ClientMsgID,
		Type: d.Type, Content: d.Content, TimeMS: now.UnixMilli()}}
	var err error
	if st.Conversation, err = w.conversation(ctx, d, st.TimeMS); err != nil {
		return st, err
	}
	if st.Seq, err = w.number(ctx, sqlNextSeq, st.Conversation); err != nil {
		return st, err
	}
	if st.ID, err = w.messageID(ctx, now); err != nil {
		return st, err
	}
	if err := w.exec(ctx, sqlAddMessage, st.Conversation, st.Seq, st.ID, st.From, st.To,
		st.ClientMsgID, st.Type, st.Content, st.TimeMS); err != nil {
		return st, err
	}
	if err := w.exec(ctx, sqlAddSent, st.From, st.ClientMsgID, st.Conversation, st.Seq, st.ID, st.TimeMS); err != nil {
		return st, err
	}
	if st.FromPosition, err = w.entry(ctx, st.From, st.Message); err != nil || st.To == st.From {
		st.ToPosition = st.FromPosition
		return st, err
	}
	st.ToPosition, err = w.entry(ctx, st.To, st.Message)
	return st, err
}

// conversation returns the conversation of the draft's two users, new if need be.
func (w *writer) conversation(ctx context.Context, d Draft, nowMS int64) (int64, error) {
	low, high := min(d.Sender, d.Receiver), max(d.Sender, d.Receiver)
	id, err := w.number(ctx, sqlPair, low, high)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	for range 3 { // two equal draws of 62 bits are already not to be expected
		id = rand.Int64N(1<<62) + 1
		res, err := w.stmts[sqlAddConv].ExecContext(ctx, id, nowMS)
		if err != nil {
			return 0, err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return id, errors.Join(err, w.exec(ctx, sqlAddPair, low, high, id))
		}
	}
	return 0, errors.New("no free conversation id")
}

func (w *writer) messageID(ctx context.Context, now time.Time) (int64, error) {
	last, err := w.number(ctx, sqlLastID, sqliteWorker)
	if err != nil {
		return 0, err
	}
	id := nextID(last, now, sqliteWorker)
	return id, w.exec(ctx, sqlSetID, id, sqliteWorker)
}

// entry appends m to uid's timeline and returns its position.
func (w *writer) entry(ctx context.Context, uid string, m Message) (int64, error) {
	pos, err := w.number(ctx, sqlNextPosition, uid)
	if err != nil {
		return 0, err
	}
	return pos, w.exec(ctx, sqlAddEntry, uid, pos, m.Conversation, m.Seq)
}
