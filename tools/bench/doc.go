// Package bench measures a running gateway, beside the servers it is compared
// with, and writes reports. It is behind `holdfast bench`; only package main
// imports it.
//
//   - Echo: requests through the gateway to the echo backend and back.
//   - Idle: resident memory of a session, as the slope between two counts.
//   - Connect: new sessions a second.
//   - Failover: what breakers, limits and failover cost, and the latency while an
//     instance is frozen.
//   - All: starts gateway and backend itself and measures what
//     docs/benchmarks.md states.
//
// A single figure of a shared machine means little. So a baseline runs in
// turn with what is measured, round by round (bare netpoll, gateway, goroutine
// per connection, and again), ratios are taken within a round, and the report
// gives medians with the lowest and highest.
//
// The packages below: load makes the traffic, bare holds the baselines, proc
// reads what the system says about the servers.
package bench
