// Package dispatcher carries the requests of sessions to backend instances, in
// order for each session and service, in batches, and says of each what became of
// it. A gateway uses it; so may a backend service that calls others by the same
// rules.
//
//	Submit ─▶ route ─▶ pick ─▶ limit ─▶ break ─▶ lane ─▶ batch ─▶ call ─▶ outcome ─▶ Sink
//	          prefix   slot    bounds   instance  order   many     Kitex   answered,
//	          to       holds   of the   works     of one  lanes            not executed
//	          service  it      instance           session               or unknown
//
// # Order
//
// A session has one lane for each service, made when it first speaks to it. At
// most one batch of a lane is at an instance at a time; what comes meanwhile
// waits. So the requests of one session to one service are run in the order in
// which they were submitted, and neither another session nor another service of
// the same one waits for them. A lane changes its instance only while nothing of
// it is at the old one.
//
// # Batches
//
// A lane with something to send goes onto the ready queue of its instance. An
// instance has a few workers, one for each call that it may have in flight. An
// idle worker takes what is ready at once, so a request that comes alone goes
// alone and without delay; while all are busy the queue grows, and the next free
// one takes all of it, up to a bound. A busy system batches by itself.
//
// # Outcomes
//
// Answered: the backend's reply goes to the client. Not executed: the instance
// cannot have run it (nothing was sent, or it said so); the client is told that
// it may send it again, and when. Unknown: it was sent and no answer came in
// time, or the connection broke. After that the lane stays closed until the
// instance cannot begin with the packet any more (every packet carries
// start_by_ms, on the instance's own clock), so a frozen instance that wakes up
// overtakes nothing. When the instance is known to be gone, because its address
// refuses connections or another incarnation speaks from it, the lane opens at
// once.
//
// A packet that the backend has deferred keeps its lane closed until its answer
// comes by [Lanes.Answer] or its time is up.
//
// # Slots and failover
//
// A user's slot x is a hash of the uid over the slots that there are. While x's
// holder cannot take requests, since its breaker is open, it is leaving, or nobody
// holds the slot, they go to the first of its substitutes that can: (x+p)%n for a
// permutation of p that the uid, x and the incarnation of x's last holder draw, so
// that one instance's users spread over all others and every gateway finds the same.
// A lane moves, also back, only while nothing of it is at an instance.
//
// What was not executed goes to the next candidate with all that waits behind it.
// What may have run is sent again only where the route says that requests are
// idempotent, and only the last packet of a batch, since the others might have run
// before it. A budget bounds both. When nobody is left the route decides: the request
// is rejected, held, or gets a canned reply.
//
// A breaker opens by the share of packets that fail, by calls that time out in a
// row, or by a refused connection. A heartbeat closes it, never a request; then the
// instance gets a few requests at a time until it has shown that it works.
//
// # Limits
//
// Everything that waits is bounded: each lane, each instance's queue in packets and
// bytes, what each instance is working on, logins, events, and what is held. Routes
// and instances may have a rate, routes a bound of concurrency. What exceeds a
// bound is refused with RESOURCE_EXHAUSTED and goes to no other instance:
// overload must not spread.
//
// # Use
//
// [New], then [Dispatcher.Run] in a goroutine of the caller's. For each client
// [Dispatcher.Connect], and when the verdict is a welcome [Dispatcher.Open], whose
// [Lanes] take the requests. [Dispatcher.Reload] changes routes and bounds,
// [Dispatcher.Explain] and [Dispatcher.Instances] show what is going on. All methods may be called from any goroutine.
package dispatcher
