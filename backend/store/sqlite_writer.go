package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
)

// The statements of the writer, prepared once a connection.
const (
	sqlSent         = `SELECT msg_id, conversation_id, seq, time_ms FROM sent WHERE sender = ? AND client_msg_id = ?`
	sqlPair         = `SELECT conversation_id FROM conversation_of_pair WHERE uid_low = ? AND uid_high = ?`
	sqlAddPair      = `INSERT INTO conversation_of_pair (uid_low, uid_high, conversation_id) VALUES (?, ?, ?)`
	sqlAddConv      = `INSERT INTO conversation (conversation_id, kind, last_seq, created_at_ms) VALUES (?, 1, 0, ?) ON CONFLICT DO NOTHING`
	sqlNextSeq      = `UPDATE conversation SET last_seq = last_seq + 1 WHERE conversation_id = ? RETURNING last_seq`
	sqlLastID       = `SELECT last_id FROM id_source WHERE worker_id = ?`
	sqlSetID        = `UPDATE id_source SET last_id = ? WHERE worker_id = ?`
	sqlAddMessage   = `INSERT INTO message (conversation_id, seq, msg_id, sender, receiver, client_msg_id, type, content, time_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlAddSent      = `INSERT INTO sent (sender, client_msg_id, conversation_id, seq, msg_id, time_ms) VALUES (?, ?, ?, ?, ?, ?)`
	sqlNextPosition = `INSERT INTO timeline_head (uid, last_position) VALUES (?, 1) ON CONFLICT DO UPDATE SET last_position = last_position + 1 RETURNING last_position`
	sqlAddEntry     = `INSERT INTO timeline (uid, position, conversation_id, seq) VALUES (?, ?, ?, ?)`
)

// writer is the one connection that writes, with its statements. It is used by
// the holder of the turn only. Transactions are plain statements: the Tx of
// database/sql gives a connection back after a failed COMMIT although its
// transaction may still be open.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, stmts: map[string]*sql.Stmt{}}
	for _, q := range []string{
		"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK",
		sqlSent, sqlPair, sqlAddPair, sqlAddConv, sqlNextSeq, sqlLastID, sqlSetID,
		sqlAddMessage, sqlAddSent, sqlNextPosition, sqlAddEntry,
	} {
		st, err := conn.PrepareContext(ctx, q)
		if err != nil {
			w.discard()
			return nil, fmt.Errorf("%s: %w", q, err)
		}
		w.stmts[q] = st
	}
	return w, nil
}

// discard closes the connection for good, whatever state it is in. Closing it
// rolls an open transaction back.
func (w *writer) discard() {
	if w == nil {
		return
	}
	for _, st := range w.stmts {
		_ = st.Close() // the connection goes away with it
	}
	// ErrBadConn keeps it out of the pool; the result says just that.
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.Close()
}

func (w *writer) exec(ctx context.Context, q string, args ...any) error {
	_, err := w.stmts[q].ExecContext(ctx, args...)
	return err
}

// number runs a statement that yields one number.
func (w *writer) number(ctx context.Context, q string, args ...any) (n int64, err error) {
	err = w.stmts[q].QueryRowContext(ctx, args...).Scan(&n)
	return n, err
}
