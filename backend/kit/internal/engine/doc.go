// Package engine runs the packets of Forward calls: packets of one session in
// their order, different sessions in parallel, nothing for longer than the
// caller may wait, nothing twice. It knows the contract's types and nothing of
// the network; the kit gives it the handler and takes the late answers.
//
//	Forward ── admit ──▶ lane (one a session: order, dedupe)
//	   │                  │ fast commands        │ others, one worker a lane
//	   │                  ▼                      ▼
//	   │             one runner a batch     pool of workers, bounded
//	   │                  └─── answers ──────────┘
//	   ▼                          │
//	waits for the answers, at most DeferAfter; what comes later goes to Later
//
// A command whose mean run time is a few microseconds runs on the batch's own
// runner, one packet after another: handing a packet to another goroutine would
// cost more than running it. Any other command gets a worker of its own, and one
// whose mean exceeds DeferAfter is not waited for at all. Should a fast command
// turn out slow, the batch is answered at DeferAfter all the same, and further
// runners take what the stuck one has not begun.
package engine
