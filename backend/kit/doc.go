// Package kit serves the Logic contract of a Holdfast backend, so that a backend
// team writes functions instead of a network server.
//
// The team gives a Backend: Connect judges logins, Handle runs packets, Events
// (optional) hears what became of sessions. The kit does the rest: the packets of
// a Forward call run in parallel across sessions and in order within one; what
// takes longer than DeferAfter is answered later, by a call to the gateway; a
// packet that comes twice runs once; one that comes too late, or when too much
// waits already, is refused as not executed; a panic fails its own packet only.
// A Pusher sends pushes to gateways, in batches and in order.
//
//	gateways ── Connect, Forward, Events, Heartbeat ──▶ Server ──▶ Backend
//	    ▲                                                 │           │
//	    └────────── Reply (deferred), Push, Kick ◀── peers ◀── Pusher ◀┘
//
// The kit keeps nothing on disk and knows nothing of the business. Its port is
// not authenticated: whoever reaches it can speak for any user. docs/backend.md
// is the guide.
package kit
