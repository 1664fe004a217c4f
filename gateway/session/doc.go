// Package session is what the gateway knows of an authenticated client: who it
// is, which of its requests are unanswered, which pushes it has not
// acknowledged, and which connection it is on.
//
// A Session is not its connection. What belongs to one connection, the
// heartbeat for instance, is an Attachment; a session has at most one. State is
// the part of a session that another connection, or another process, would
// need to go on with it.
//
// Requests go down through Upstream, which the dispatcher provides; its answers
// come back by Reply and Refuse. Pushes come in by Push. Both end in the
// connection's bounded queue: nobody waits for a slow client, which is cut
// instead.
//
// Lock order: Session.mu, then a shard of the Registry or the connection's own
// lock. Upstream and Home are called without any of them.
package session
