// Package proof has no code of its own: its tests attack a gateway as anybody on
// the internet could, and hold it to what it promises of that. A gateway and an
// echo backend run as processes; the tests connect to every transport over
// loopback, break what rules there are, and meanwhile read from the kernel and the
// metrics what the gateway spends: processor time, resident memory, goroutines and
// descriptors.
//
// The tests print their figures. `make test` runs short forms, `make soak`
// (HOLDFAST_TEST_SOAK) long ones. HOLDFAST_TEST_BIN names the holdfast binary to
// test; without it one is built, without the race detector: the figures are about
// what users run.
package proof
