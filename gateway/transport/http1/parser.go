package http1

// Parser reads the requests of one connection, one after another. Its zero value
// admits nothing; use NewParser. It is not safe for concurrent use.
type Parser struct {
	limits Limits
	part   *message // of a request that is not whole yet; nil when idle
	failed *Error
}

// NewParser returns a parser for a new connection.
func NewParser(l Limits) Parser { return Parser{limits: l} }

// Next takes bytes from b, which stays the caller's. It returns a request once
// its last byte is there, with how many bytes of b were its own: those behind
// them, b[n:], are the next request's, or another protocol's after an Upgrade,
// and stay with the caller. While the request is incomplete req is nil and n is
// len(b).
//
// The error is an *Error; from then on every call returns it, with n as len(b).
func (p *Parser) Next(b []byte) (req *Request, n int, err error) {
	if p.failed != nil {
		return nil, len(b), p.failed
	}
	if len(b) == 0 {
		return nil, 0, nil
	}
	// On the stack, so that a request that comes whole costs nothing but itself.
	var m message
	if p.part != nil {
		m = *p.part
	} else {
		m.lines.request = true
	}
	n, done, refusal := m.take(b, p.limits)
	switch {
	case refusal != nil:
		p.failed, p.part = refusal, nil
		return nil, len(b), refusal
	case done:
		p.part = nil
		return m.req, n, nil
	case p.part == nil:
		kept := m
		p.part = &kept
	default:
		*p.part = m
	}
	return nil, n, nil
}

// Idle tells whether nothing has come of a request that is not whole yet. It is
// false after an error.
func (p *Parser) Idle() bool { return p.part == nil && p.failed == nil }

// Buffered is how many bytes are kept of a request that is not whole.
func (p *Parser) Buffered() int {
	if p.part == nil {
		return 0
	}
	return len(p.part.head) + len(p.part.body.data)
}

// WantContinue tells, once a request, that the head is whole and the client
// waits for Continue before it sends the body. It is false when some of the body
// has come already: such a client does not wait.
func (p *Parser) WantContinue() bool {
	if p.part == nil || !p.part.waits {
		return false
	}
	p.part.waits = false
	return true
}

// message is a request on its way in.
type message struct {
	lines lines
	head  []byte   // what has come of the head, until it is whole
	req   *Request // once the head is whole
	body  body
	waits bool // the client awaits Continue
}

// take takes bytes of b up to the end of the request, and all of b if that has
// not come yet.
func (m *message) take(b []byte, l Limits) (n int, done bool, err *Error) {
	if m.req == nil {
		n, done, err = m.takeHead(b, l)
		if !done || err != nil {
			return n, false, err
		}
		m.waits = m.req.Expects100
	}
	k, done, err := m.body.take(b[n:], l.HeadBytes)
	if err != nil {
		return n + k, false, err.of(m.req)
	}
	if k > 0 {
		m.waits = false
	}
	if done {
		m.req.Body = m.body.data
	}
	return n + k, done, nil
}

// takeHead takes bytes of b up to the end of the head, where it sets m.req.
func (m *message) takeHead(b []byte, l Limits) (n int, done bool, err *Error) {
	n, done, err = m.lines.scan(b, l.HeadBytes)
	if err != nil {
		return 0, false, err
	}
	if !done {
		m.head = append(m.head, b...)
		return n, false, nil
	}
	head := b[:n]
	if m.head != nil {
		head = append(m.head, head...)
		m.head = nil
	}
	m.req, m.body, err = parseHead(head, m.lines.fields, l.BodyBytes)
	return n, err == nil, err
}
