package secure

import (
	"errors"
	"fmt"
)

const (
	// helloBytesMax bounds a ClientHello. Real ones are 200 to 2,000 bytes; the
	// largest field that makes sense, a session ticket with a client's
	// certificate in it, stays well below.
	helloBytesMax = 16 << 10
	// helloRecordsMax bounds the records that a ClientHello is cut into. Clients
	// use one, and a few where they hide its name from networks.
	helloRecordsMax = 64

	recordHeaderBytes = 5
	recordBytesMax    = 16 << 10 // RFC 8446 section 5.1, not yet encrypted
	typeHandshake     = 0x16
	typeClientHello   = 0x01
)

// The alerts that refuse what is TLS, but no ClientHello that we take.
const (
	alertUnexpectedMessage = 10
	alertRecordOverflow    = 22
	alertDecodeError       = 50
)

// ErrNotTLS is wrapped by the error of bytes that cannot begin a TLS connection.
var ErrNotTLS = errors.New("secure: not TLS")

// helloError refuses the start of a connection with an alert.
type helloError struct {
	alert   byte
	message string
}

func (e *helloError) Error() string { return "secure: ClientHello: " + e.message }

// helloComplete reports whether b, all that has come on a connection, holds a
// whole ClientHello; bytes may follow it. It fails as soon as b cannot become
// one: with ErrNotTLS, or with a *helloError. It looks at the lengths alone: what
// is inside is judged by crypto/tls.
func helloComplete(b []byte) (bool, error) {
	var head [4]byte // of the handshake message: its type and length
	have := 0        // bytes of the message in the records before b
	for range helloRecordsMax {
		if err := checkRecord(b); err != nil {
			return false, err
		}
		if len(b) < recordHeaderBytes {
			return false, nil
		}
		size := int(b[3])<<8 | int(b[4])
		part := b[recordHeaderBytes:min(len(b), recordHeaderBytes+size)]
		if have < len(head) {
			copy(head[have:], part)
		}
		have += len(part)
		switch {
		case have > 0 && head[0] != typeClientHello:
			return false, &helloError{alertUnexpectedMessage, fmt.Sprintf("handshake message of type %d comes first", head[0])}
		case have >= len(head):
			want := len(head) + int(head[1])<<16 + int(head[2])<<8 + int(head[3])
			if want > helloBytesMax {
				return false, &helloError{alertDecodeError, fmt.Sprintf("%d bytes, at most %d are taken", want, helloBytesMax)}
			}
			if have >= want && len(part) == size {
				return true, nil
			}
		}
		if len(part) < size {
			return false, nil
		}
		b = b[recordHeaderBytes+size:]
	}
	return false, &helloError{alertDecodeError, fmt.Sprintf("cut into more than %d records", helloRecordsMax)}
}

// checkRecord refuses what cannot be the header of a handshake record, by as
// much of it as is there.
func checkRecord(b []byte) error {
	switch {
	case len(b) > 0 && b[0] != typeHandshake:
		return fmt.Errorf("%w: record of type %#02x", ErrNotTLS, b[0])
	case len(b) > 1 && b[1] != 3:
		return fmt.Errorf("%w: record of version %d.x", ErrNotTLS, b[1])
	case len(b) < recordHeaderBytes:
		return nil
	}
	switch size := int(b[3])<<8 | int(b[4]); {
	case size == 0:
		return &helloError{alertUnexpectedMessage, "empty record"}
	case size > recordBytesMax:
		return &helloError{alertRecordOverflow, fmt.Sprintf("record of %d bytes, want at most %d", size, recordBytesMax)}
	}
	return nil
}
