// Package session is what the gateway knows of an authenticated client: who it
// is, which of its requests are unanswered, which replies and pushes it may not
// have received, and which connection it is on.
//
//	           Attach              Away / Back (long poll, SSE)
//	 New ───────────────▶ attached ◀──────────────────────────▶ away
//	                       │   ▲                                  │
//	CLOSE 4000-4499, lost  │   │ Resume                           │
//	                       ▼   │                                  │
//	                       cut ───── resume_ttl, CutSessions' max ┤
//	                        │                                     ▼
//	                        └──────── CLOSE 1000, 4500-4999 ──▶ ended
//
// A Session is not its connection. What belongs to one connection, the
// heartbeat for instance, is an Attachment; a session has at most one. State is
// the part of a session that another connection, or another process, would
// need to go on with it.
//
// Requests go down through Upstream, which the dispatcher provides; its answers
// come back by Reply and Refuse. Pushes come in by Push. Both end in the
// connection's bounded queue: nobody waits for a slow client, which is cut
// instead. What it lacked then is kept, within bounds: pushes with a seq until
// the client acknowledges them, the last window replies until something proves
// that they have arrived. So a resume runs nothing twice and loses no push.
//
// Lock order: Session.turn, which serialises the changes of the diagram; then
// Session.mu; then a shard of the Registry, the list of CutSessions, the Meter's
// or the connection's own. Upstream's and Home's methods are called without any,
// but for Cut, Resumed, End and Ended, which are called with turn held so that
// backends hear of changes in their order: they must not change this session.
// CloseWith is called without any.
package session
