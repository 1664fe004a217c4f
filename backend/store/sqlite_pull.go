package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const sqlPull = `SELECT t.position, m.msg_id, m.conversation_id, m.seq, m.sender, m.receiver, m.client_msg_id, m.type, m.content, m.time_ms
FROM timeline t JOIN message m ON m.conversation_id = t.conversation_id AND m.seq = t.seq
WHERE t.uid = ? AND t.position > ? ORDER BY t.position LIMIT ?`

// Pull returns a page of a timeline in the order of positions, and whether more
// follow it. It sees whole transactions only and does not wait for writers. It
// ends with ctx; any error means that nothing was read and may be tried again.
func (s *SQLite) Pull(ctx context.Context, p Page) (entries []Entry, more bool, err error) {
	defer func(since time.Time) { s.m.read.Observe(time.Since(since).Seconds()) }(time.Now())
	rows, err := s.pull.QueryContext(ctx, p.UID, p.After, p.Limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("timeline: %w", err)
	}
	defer func() {
		if cerr := rows.Close(); cerr != nil {
			entries, more, err = nil, false, errors.Join(err, cerr)
		}
	}()
	bytes := 0
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, false, fmt.Errorf("timeline: %w", err)
		}
		bytes += len(e.Content)
		if len(entries) == p.Limit || len(entries) > 0 && bytes > p.ContentBytesMax {
			return entries, true, nil
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("timeline: %w", err)
	}
	return entries, false, nil
}

func scanEntry(rows *sql.Rows) (e Entry, err error) {
	err = rows.Scan(&e.Position, &e.ID, &e.Conversation, &e.Seq, &e.From, &e.To,
		&e.ClientMsgID, &e.Type, &e.Content, &e.TimeMS)
	return e, err
}
