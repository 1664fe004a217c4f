// Package websocket is the server's half of RFC 6455 over bytes that somebody
// else reads and writes: the opening handshake ([Accept]), the frames that come
// in ([Decoder]) and those that go out ([Begin], [AppendMessage],
// [AppendControl], [AppendClose]). It does no I/O, starts no goroutine, reads no
// clock and logs nothing. The transport is its only user.
//
// It speaks version 13 without extensions: offers of compression are ignored,
// so nothing that a peer sends is ever inflated. Which paths and origins are
// welcome is the caller's business, and so are the answers to Ping and Close.
//
// # Limits
//
// Every rule is judged on the first byte that shows it broken, so it makes no
// difference in what pieces the bytes arrive. A message longer than the limit
// is refused from the lengths that its frames declare, before any byte of the
// frame that goes beyond is kept; memory grows with what has come, never with
// what was declared. A message has at most [FragmentsMax] fragments, because
// empty ones would otherwise run on for ever within any limit of bytes.
//
// # Memory
//
// A frame that lies whole in the bytes given to [Decoder.Next] is unmasked where
// it lies and costs no allocation. Only a message or control frame that is
// incomplete at their end is kept in a buffer, which is handed out with the
// event and forgotten: an idle connection owns none.
package websocket
