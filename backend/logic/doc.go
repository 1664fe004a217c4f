// Package logic is the reference instant-messaging backend: it judges logins,
// stores messages before it acknowledges them, and pushes them to whoever is
// online. docs/im-api.md is its interface to clients.
//
//	        msg.send ─▶ store, one transaction ─▶ reply
//	                        │ in the order of commits
//	                        ▼
//	                     delivery ─▶ presence: which gateways? ─▶ Push to the user there
//	client ◀─ msg.new ──────────────────────────────────────────────┘
//	        msg.pull ─▶ store: the user's own timeline
//
// The store is the truth and a push only a hint that saves a pull: presence may
// be stale, a queue full, a gateway gone. Whatever is not pushed stands in the
// receiver's timeline, whose positions are continuous, so the next push or pull
// shows that something is missing.
//
// The service stands on backend/kit, which speaks to the gateways, and on
// interfaces of its own to the store and to presence. Only main may import it.
package logic
