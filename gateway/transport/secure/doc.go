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
// last answer. Handshakes bounds how many there are; a client that is slow to
// answer gives its place up while others wait.
//
// # What it costs
//
// Measured with this package's benchmarks and TestIdleBytes on a 2-core virtual
// machine; the session, the socket and netpoll come on top.
//
//	an idle connection       6.8 KB with TLS 1.3 as Go and Chrome speak it (its
//	                         post-quantum key share is 1.2 KB of the ClientHello,
//	                         which crypto/tls keeps in two buffers), 4.1 KB with
//	                         TLS 1.2 or without that share
//	... that sent 16 KiB     23 KB: crypto/tls keeps the buffer of the longest record
//	    in one record        that has come until the connection ends, and there is
//	                         no way to tell a client to send shorter ones
//	sealing                  0.2 µs and 0.15 ns a byte, no allocation
//	decrypting               0.25 µs and 0.16 ns a byte, two allocations of 48 bytes together
//	a handshake              0.45 ms and 130 KB of garbage, both ends together, with
//	                         ECDSA P-256, and a goroutine for a round trip; with an
//	                         RSA key the server's part alone is a millisecond and more
//
// So a gateway whose clients all come back at once is bound by handshakes, not
// by TLS on what they say. Session tickets spare the signature, not the key
// exchange; their keys live in this process, so a client that comes to another
// gateway, or after a restart, shakes hands in full.
//
// # What it refuses
//
// TLS below 1.2, renegotiation, early data (0-RTT: a replay would be a request
// run twice), client certificates, a ClientHello above 16 KiB or cut into more
// than 64 records, and clients that offer only unknown protocols by ALPN. What
// is no TLS is refused at its first wrong byte.
//
// # Locks
//
// Conn.mu and Handshakes.mu are leaves: nothing is called with them held, and
// an Output is called with neither. crypto/tls has a lock for each direction;
// Feed holds both for the moment of answering a key update, which Seal waits for.
package secure
