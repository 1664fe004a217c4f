package http1

// Parser reads the requests of one connection, one after another. Its zero value
// admits nothing; use NewParser. It is not safe for concurrent use.
type Parser struct {
	limits Limits
}

// NewParser returns a parser for a new connection.
func NewParser(l Limits) Parser { return Parser{limits: l} }

// Next takes bytes from b, which stays the caller's. It returns a request once
// its last byte is there, with how many bytes of b were its own: those behind
// them, b[n:], are the next request's, or another protocol's after an Upgrade,
// and stay with the caller. While the request is incomplete req is nil and n is
// len(b).
//
// The error is an *Error; from then on every call returns it.
func (p *Parser) Next(b []byte) (req *Request, n int, err error) { return nil, len(b), nil }

// Idle tells whether nothing has come of a request that is not whole yet.
func (p *Parser) Idle() bool { return true }

// WantContinue tells, once a request, that the head is whole and the client
// waits for Continue before it sends the body. It is false when some of the body
// has come already: such a client does not wait.
func (p *Parser) WantContinue() bool { return false }
