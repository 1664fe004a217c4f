package poll

import (
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Conn is a client's connection that is made of calls.
type Conn struct{}

func (c *Conn) Queue(f wire.Frame) bool                                                 { return true }
func (c *Conn) QueueAll(frames []wire.Frame) bool                                       { return true }
func (c *Conn) QueueTransient(b []byte, key string, until int64, dropOldest bool) bool  { return true }
func (c *Conn) Encoding() wire.Encoding                                                 { return wire.JSON }
func (c *Conn) Flush()                                                                  {}
func (c *Conn) CloseWith(code wire.CloseCode, reason string, before ...wire.Frame) bool { return true }
func (c *Conn) LastRead() int64                                                         { return 0 }
func (c *Conn) Now() int64                                                              { return 0 }
func (c *Conn) WakeAt(at int64)                                                         {}
func (c *Conn) Queued() int                                                             { return 0 }
func (c *Conn) Transport() string                                                       { return "" }
func (c *Conn) RemoteIP() string                                                        { return "" }
func (c *Conn) Pings() bool                                                             { return false }
func (c *Conn) SetReceiver(r Receiver)                                                  {}
func (c *Conn) Receiver() Receiver                                                      { return nil }
func (c *Conn) Hold()                                                                   {}
func (c *Conn) Release()                                                                {}
func (c *Conn) GotBytes() bool                                                          { return true }
func (c *Conn) Abort()                                                                  {}
func (c *Conn) Closing() bool                                                           { return false }
