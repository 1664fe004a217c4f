package http1

import (
	"fmt"
	"net/http"
)

// HeadBytesMax is the bound on heads to use where nothing else is configured:
// room for a bearer token and what browsers add by themselves.
const HeadBytesMax = 16 << 10

// Continue is the interim answer that a client awaits when Parser.WantContinue
// says so.
const Continue = "HTTP/1.1 100 Continue\r\n\r\n"

// Limits bounds what one request may hold. A limit of 0 admits nothing.
type Limits struct {
	// HeadBytes bounds the request line and the fields, with all their line
	// ends, and the trailer of a chunked body once more.
	HeadBytes int
	// BodyBytes bounds the body, without the framing of chunks.
	BodyBytes int
}

// Request is one whole request. It owns its memory.
type Request struct {
	// Method is a token, as sent: the caller knows which it serves. It is never CONNECT.
	Method string
	// Path is the path as sent, with its percent-encoding, so that what a proxy
	// in front has compared is what the caller compares. Printable ASCII that
	// begins with "/", or is "*".
	Path string
	// RawQuery is what follows the question mark, undecoded; printable ASCII.
	RawQuery string
	// Minor is the version's: 1 for HTTP/1.1 and 0 for HTTP/1.0, whose clients
	// know neither chunks, nor 100 Continue, nor Upgrade.
	Minor int
	// Header has the fields but Host, Content-Length, Transfer-Encoding and
	// Trailer, which have been acted upon. Names are canonical, values may hold
	// bytes above 0x7F.
	Header http.Header
	// Host is the authority: of the request line if it names one, else of the
	// Host field. Empty only with HTTP/1.0.
	Host string
	// Body is the contents, decoded where it came in chunks; nil when empty.
	Body []byte
	// Close tells that no other request follows on the connection: close it
	// after the answer.
	Close bool
	// Expects100 tells that the client asked for 100 Continue; see Parser.WantContinue.
	Expects100 bool
}

// Error is a refusal. What follows on the connection cannot be understood any
// more, so it is closed after the answer.
type Error struct {
	// Status is the answer's: 400, 413, 414, 417, 431, 501 or 505.
	Status int
	// Message names the field and its limit. It holds nothing that the peer
	// sent, so it can be logged and sent back as it is.
	Message string
	// Request is the request, without its body, where that is too long and all
	// else is well: whoever sent it may be told in its own terms. Its Close is
	// true.
	Request *Request
}

// Error is the message with the status before it.
func (e *Error) Error() string {
	return "http1: " + http.StatusText(e.Status) + ": " + e.Message
}

// refusef makes the refusal with status 400. Like statusf it is given numbers and
// names of ours only.
func refusef(format string, args ...any) *Error {
	return statusf(http.StatusBadRequest, format, args...)
}

func statusf(status int, format string, args ...any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}
