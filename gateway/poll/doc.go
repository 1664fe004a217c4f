// Package poll is long poll and Server-Sent Events: a connection that is made of
// HTTP calls which come and go (docs/protocol.md section 6).
package poll
