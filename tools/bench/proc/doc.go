// Package proc reads what the operating system and a server itself say about
// a process: CPU time, resident memory, heap objects allocated; it starts the
// processes of a benchmark and describes the machine. Linux only.
package proc
