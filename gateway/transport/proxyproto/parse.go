package proxyproto

// The beginnings of the two versions. They differ in the first byte.
const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Parse decodes the header at the beginning of b, which is what has been read of
// a connection, and reports how many bytes it took; what follows is the client's.
// A header longer than maxBytes is refused (version 1: than 107 bytes), from its
// declared length alone where it has one. The error is ErrIncomplete or an
// *Error. What is refused is refused with the same error however much of it is
// in b, and no beginning of a valid header is refused. It keeps nothing of b.
func Parse(b []byte, maxBytes int) (h Header, n int, err error) {
	switch {
	case len(b) == 0:
		return Header{}, 0, ErrIncomplete
	case b[0] == signature1[0]:
		h, n, err = parseV1(b, maxBytes)
	case b[0] == signature2[0]:
		h, n, err = parseV2(b, maxBytes)
	default:
		err = refusef("signature: none of a PROXY header")
	}
	if err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

// matchSignature compares b with as much of a signature as has come.
func matchSignature(b []byte, signature string) error {
	have := min(len(b), len(signature))
	switch {
	case string(b[:have]) != signature[:have]:
		return refusef("signature: none of a PROXY header")
	case have < len(signature):
		return ErrIncomplete
	}
	return nil
}
