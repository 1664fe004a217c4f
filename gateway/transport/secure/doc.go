// Package secure speaks TLS over bytes that somebody else reads and writes, with
// crypto/tls and without a goroutine per connection. It knows no sockets: the
// transport feeds what came and sends what it is given.
//
//	bytes of the client ─▶ Conn.Feed ─▶ plaintext        (inline, never waits)
//	plaintext ─▶ Conn.Seal ─▶ records for the client
//	                Conn.Take ─▶ what TLS itself has to say (Output.Pending tells of it)
//
// crypto/tls reads from a net.Conn of ours whose Read says "Temporary" when no
// bytes are there: it keeps its state and is called again when more have come.
// Only its handshake cannot be left and entered again, so a handshake has a
// goroutine, from the moment the whole ClientHello is there until the client's
// last answer. Handshakes bounds how many there are.
package secure
