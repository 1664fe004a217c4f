// Package push is the way back: the Kitex Gateway service, by which backends
// push to sessions, answer what they deferred, kick, subscribe to topics and
// look at what a gateway holds. It stands over session.Registry and decides
// nothing itself. It is the gateway's only door to Kitex.
//
//	backend ── Push, Reply, Kick, Subscribe, Inspect ──▶ Service ──▶ session.Registry ──▶ Session
//
// Every list has a bound, and each item of a list is judged by itself: a wrong
// one is refused with the field and the limit, and the others are done.
package push
