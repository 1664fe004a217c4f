// Package wire is docs/protocol.md as code: the frames that a client and a
// gateway exchange, in both encodings, with every limit and every code.
//
// It is pure: bytes in, values out. It opens no connection, keeps no state
// between calls, starts no goroutine, reads no clock and logs nothing, so it
// can be used by the gateway, by clients, by load generators and by fuzzers
// alike. What needs a memory of earlier frames (that HELLO comes first, that
// request ids grow, that an ACK names a push that was sent) is the session's
// business, not this package's.
//
// # Frames
//
// One flat [Frame] stands for all ten types; [Type] says which of its fields
// mean something. Two codecs translate it:
//
//	binary   Parse, Append              one frame, as in one WebSocket message
//	stream   ParseStream, AppendStream  the same behind a length, as on TCP and TLS
//	JSON     ParseJSON, AppendJSON      one object, as on WebSocket, poll and SSE
//
// HELLO, WELCOME and GOAWAY carry a JSON object in either codec. A Frame holds
// it undecoded in Payload; [ParseHello], [ParseWelcome] and [ParseGoAway] decode
// it, [AppendHello], [AppendWelcome] and [AppendGoAway] make it.
//
// # Memory
//
// Every slice of a parsed Frame aliases the bytes it was parsed from, and is
// valid only as long as they are; a caller that keeps one copies it. There are
// two exceptions, both in JSON: a string with escapes in it and a payload that
// came as base64 are decoded into memory of their own. The structs that ParseHello
// and its siblings return own their memory.
//
// Parse, ParseStream, Append and AppendStream do not allocate unless they
// refuse, given room in dst. ParseJSON and AppendJSON do not either for REQUEST,
// REPLY, PUSH, ACK, PING and PONG without escapes and base64.
//
// # Refusals
//
// Whatever breaks the protocol is refused with a [*ProtocolError]: the close
// code that tells the peer so, and a text that names the field and its limit
// and fits the reason of a CLOSE. Sizes are judged before contents, and on a
// stream before the frame has arrived, so a peer cannot make its reader wait
// for, or keep, more than maxFrame bytes. What one codec accepts the other can
// express: an accepted Frame encodes in both.
//
// # JSON
//
// The dialect is RFC 8259, strictly: valid UTF-8 without a byte order mark, one
// value without anything but white space around it, member names matched
// exactly, a member that this protocol names at most once (others are ignored
// and may repeat), values nested at most [JSONDepthMax] deep, whole numbers
// written without sign, fraction or exponent. An optional member that is null
// counts as absent, apart from payload, where null is a value as any other.
package wire
