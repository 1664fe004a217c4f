// Package faults has no code of its own: its tests hold the product to what it
// promises of faults. They start a gateway and backend instances as processes,
// load them through real connections, and meanwhile kill, freeze, slow, cut off or
// empty what the gateway depends on. Afterwards what every client was answered is
// held against what every instance ran (package check).
//
// The instances are this test binary itself, as a recorder: a backend on the kit
// that notes the begin and the end of every run in a file, which outlives SIGKILL.
//
// The tests print their figures. `make test` runs short forms, `make soak`
// (HOLDFAST_TEST_SOAK) long ones. HOLDFAST_TEST_BIN names the holdfast binary to
// test; without it one is built.
package faults
