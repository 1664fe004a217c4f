// Package bare holds the echo servers that the benchmarks compare the gateway
// with. They return every byte they get and know no protocol:
//
//   - Netpoll is what the same network library does with nothing on top: the
//     upper bound for anything built on it, tuned as well as we can.
//   - Goroutines is the usual Go server, one goroutine a connection.
//
// They run as processes of their own (hidden subcommands of holdfast bench),
// so that memory and CPU time can be told apart from the loader's, and Netpoll
// may change process-wide settings.
//
// This package imports netpoll, which otherwise only gateway/transport does: a
// baseline that went through the gateway's own transport would measure it
// against itself.
package bare
