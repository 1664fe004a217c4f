// Package http1 reads HTTP/1.1 requests from bytes as they come, and writes the
// answers. It does no I/O, starts no goroutine and never waits, so it can run
// inside the poller that has just read the bytes, where net/http's server wants
// a goroutine and 4 KB buffers for every connection.
//
// It is the strict half of HTTP: whatever two parsers might understand in two
// ways is refused, since the next request on the connection would begin at
// another place for each of them. Refused are both Content-Length and
// Transfer-Encoding, several of either, any transfer coding but chunked, a line
// that ends with LF alone, a CR elsewhere, a folded field, a control character, a
// space before the colon, a missing or malformed Host, and a chunk that is not
// exactly as RFC 9112 writes it.
//
// # Memory
//
// A [Parser] that has nothing of a request owns no memory but itself. While a
// request is incomplete it keeps what has come of it and nothing else: the head
// as it is, of the body its contents. Lengths that a peer declares are judged
// against [Limits] before a byte is kept, and never allocated ahead: buffers grow
// with what has come, to at most twice of that. The number of fields is bounded
// as well, since each costs more in a map than on the wire.
//
// A [Request] owns its memory. Nothing of it aliases the bytes it was parsed from.
//
// # Answers
//
// AppendResponse and AppendStreamHead put Cache-Control: no-store into each
// answer. A stream is chunked, so it is for clients of HTTP/1.1 only (see
// Request.Minor), and the connection can be used again after [AppendLastChunk].
package http1
