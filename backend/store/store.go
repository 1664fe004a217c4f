// Package store keeps messages, conversations and timelines: what the reference
// backend must not lose. It is the only package that knows a database driver;
// no driver type crosses its border.
//
// An implementation holds to the promises that package storetest checks: a
// message whose Send returned without error survives the death of the process,
// a (sender, client message id) is stored once, a conversation's sequence and a
// user's positions are continuous, and a position never becomes visible before
// a smaller one. SQLite is the embedded implementation.
package store

import (
	"errors"
	"fmt"
)

var (
	// ErrNotStored says that nothing was stored and that trying again may help:
	// too many writers wait, the wait for the database took too long, or the
	// database could not write. It wraps the cause.
	ErrNotStored = errors.New("store: not stored")
	// ErrUnknown says that the commit itself failed, so the message may be stored
	// or not. Sending it again with the same client message id settles it.
	ErrUnknown = errors.New("store: outcome unknown")
	// ErrBusy is a cause of ErrNotStored: as many writers wait as may.
	ErrBusy = errors.New("store: write queue full")
)

// Draft is a message as its sender wrote it. The texts are compared byte by
// byte; the caller has checked their limits.
type Draft struct {
	Sender, Receiver string // may be equal: a note to oneself
	ClientMsgID      string // the sender's own id: a repeat stores nothing
	Type             string
	Content          []byte // kept as it is; not modified, not retained after Send
}

// Message is a stored message.
type Message struct {
	ID           int64 // increasing in time over the whole store
	Conversation int64 // opaque, positive
	Seq          int64 // 1, 2, 3 ... within the conversation
	From, To     string
	ClientMsgID  string
	Type         string
	Content      []byte
	TimeMS       int64 // the store's wall clock; Seq orders, not this
}

// Stored is what became of a Draft.
type Stored struct {
	// Message is complete for a new message. For a repeat only ID, Conversation,
	// Seq and TimeMS are set, those of the first time, whatever the draft says.
	Message
	// Repeated says that (Sender, ClientMsgID) was stored before. Nothing was
	// done now, and the positions are 0.
	Repeated bool
	// FromPosition and ToPosition are where the message stands in the timelines
	// of sender and receiver; equal for a note to oneself, which stands there once.
	FromPosition, ToPosition int64
}

// Page asks for the part of a user's timeline behind a position.
type Page struct {
	UID   string
	After int64 // positions greater than this; 0 is the beginning
	Limit int   // at most so many entries
	// ContentBytesMax ends the page before the entry whose content would take the
	// page beyond it. The first entry is given in any case.
	ContentBytesMax int
}

// Entry is a message at its position in one user's timeline.
type Entry struct {
	Position int64
	Message
}

// notStored makes err say that nothing was written while doing what.
func notStored(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrNotStored, what, err)
}
