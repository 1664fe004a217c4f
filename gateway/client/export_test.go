package client

import "time"

// ClimbAfter shortens the time after which a client that has fallen back tries
// better transports.
func (c *Config) ClimbAfter(d time.Duration) { c.climbAfter = d }
