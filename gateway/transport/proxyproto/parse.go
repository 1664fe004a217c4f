package proxyproto

// Parse decodes the header at the beginning of b, which is what has been read of
// a connection, and reports how many bytes it took; what follows is the client's.
// A header longer than maxBytes is refused (version 1: than 107 bytes), from its
// declared length alone where it has one. The error is ErrIncomplete or an
// *Error. What is refused is refused with the same error however much of it is
// in b, and no beginning of a valid header is refused.
func Parse(b []byte, maxBytes int) (h Header, n int, err error) { return Header{}, 0, ErrIncomplete }
