// Package load drives thousands of client connections against a gateway, or
// against a bare echo server, from a few threads.
//
// It is the measuring instrument of the benchmarks, so it must cost less than
// what it measures: each thread runs one epoll loop over non-blocking sockets,
// reads into one buffer and writes all requests of a connection with one
// system call. A connection costs no goroutine, and sending and checking an
// echo allocates nothing.
//
//	Fleet ── thread 0: loop ── epoll ── conn conn conn ...
//	     └── thread 1: loop ── epoll ── conn conn conn ...
//	              │
//	              └─ phase: connect · echo (closed, open, once) · hold · churn · leave
//
// A Fleet goes through phases. Each phase is one blocking call on Fleet that
// runs every loop until its part is done; between the calls nothing runs and
// connections simply wait in the kernel (keep those pauses below the
// gateway's heartbeat, or use Hold).
//
// Two ways to load: closed loop (every connection keeps N requests in flight,
// which finds the highest rate) and open loop (requests are due at fixed
// times, whatever the answers do). In the open loop a latency counts from the
// time at which the request was due, not from when it could be sent, so a
// server that stalls is charged for every request that it kept waiting: no
// coordinated omission.
//
// In Raw mode the same REQUEST bytes go to a server that returns what it
// gets. That is the baseline: the same loader, the same bytes, no protocol.
//
// Linux only. A Fleet is for one goroutine at a time.
package load
