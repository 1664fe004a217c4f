// Package presence knows who is online, and at which gateway.
//
// A record says that a session is at a gateway. It is written when the session
// begins and ends, not at each heartbeat: what is renewed is the lease of the
// gateway's epoch, and a record counts only while that lease lives. So a gateway
// that dies takes all its users offline by one expiry, and one that comes back
// in time, or later under the same epoch, has them online again without a write.
//
// Presence is a hint about where a push is worth sending. It may be wrong for a
// while in either direction, so nothing may depend on it but pushes and what is
// shown to people. Package presencetest holds every implementation to the same
// suite.
package presence

import "time"

// Gateway names one life of a gateway process.
type Gateway struct {
	Address string // where its Gateway service is served
	Epoch   int64
}

// Record says that a session of a user is at a gateway.
type Record struct {
	UID, Session string
	Gateway      Gateway
	// DeviceID and DeviceClass are the client's word; may be empty.
	DeviceID, DeviceClass string
	// Since is when the record was written, on the clock of this process.
	Since time.Time
}
