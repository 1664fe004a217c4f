// Package ctl is what `holdfast ctl` does: it asks the admin address of a gateway,
// or Consul, and writes the answer as a table for people or as JSON for programs.
// It changes nothing, but for RetireSlot. Commands and flags are in package main.
package ctl
