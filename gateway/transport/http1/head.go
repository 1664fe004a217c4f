package http1

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// parseHead makes a request of a head that lines has judged: its line, its
// fields, the empty line. It does not use http.ReadRequest, which drops what a
// strict reader must refuse: a Transfer-Encoding of HTTP/1.0, a Content-Length
// beside chunks, one that is given twice. The tests hold the two against each
// other: what is accepted here means the same there.
func parseHead(head []byte, fields, bodyBytesMax int) (*Request, body, *Error) {
	text := string(head)
	line, text, _ := strings.Cut(text, "\r\n")
	r := &Request{}
	target, err := r.parseLine(line)
	if err != nil {
		return nil, body{}, err
	}
	r.Header = parseFields(text, fields)
	if err := r.setTarget(target); err != nil {
		return nil, body{}, err
	}
	if err := r.setConnection(); err != nil {
		return nil, body{}, err
	}
	b, err := r.framing(bodyBytesMax)
	for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer"} {
		delete(r.Header, name)
	}
	if err != nil {
		return nil, body{}, err.of(r)
	}
	return r, b, nil
}

// parseLine takes the method and the version of the request line, and returns
// what is between them.
func (r *Request) parseLine(line string) (target string, err *Error) {
	method, rest, ok1 := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok1 || !ok2 || method == "" {
		return "", refusef("request line: not a method, a target and a version")
	}
	for i := range len(method) {
		if !isToken(method[i]) {
			return "", refusef("method: other than the characters of a token")
		}
	}
	major, minor, ok := http.ParseHTTPVersion(version)
	switch {
	case !ok:
		return "", refusef("request line: not a method, a target and a version")
	case major != 1 || minor > 1:
		return "", statusf(http.StatusHTTPVersionNotSupported, "version: want HTTP/1.1")
	case method == http.MethodConnect:
		return "", statusf(http.StatusNotImplemented, "method: CONNECT")
	}
	r.Method, r.Minor = method, minor
	return target, nil
}

// parseFields takes fields apart. The values share one slice, cut so that none
// can grow into the next.
func parseFields(text string, fields int) http.Header {
	h := make(http.Header, fields)
	values := make([]string, 0, fields)
	for {
		line, rest, _ := strings.Cut(text, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok { // the empty line
			return h
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		value = strings.Trim(value, " \t")
		if have := h[name]; have != nil {
			h[name] = append(have, value)
		} else {
			values = append(values, value)
			h[name] = values[len(values)-1 : len(values) : len(values)]
		}
		text = rest
	}
}

// setTarget takes the path, the query and the host.
func (r *Request) setTarget(target string) *Error {
	u, err := url.ParseRequestURI(target)
	switch {
	case err != nil, u.Opaque != "", u.User != nil, (u.Scheme == "") != (u.Host == ""):
		return refusef("target: malformed")
	case u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https":
		return refusef("target: want http or https")
	}
	r.Path, r.RawQuery, r.Host = u.EscapedPath(), u.RawQuery, u.Host
	if r.Path == "" {
		r.Path = "/"
	}
	hosts := r.Header["Host"]
	if len(hosts) > 1 {
		return refusef("Host: given more than once")
	}
	if r.Host == "" && len(hosts) == 1 { // a target that names the host overrules the field
		r.Host = hosts[0]
	}
	if r.Host == "" && r.Minor > 0 {
		return refusef("Host: missing")
	}
	for i := range len(r.Host) {
		if !isHost(r.Host[i]) {
			return refusef("Host: malformed")
		}
	}
	return nil
}

// isHost tells whether c may be in a host and its port (RFC 3986, 3.2.2). What it
// leaves out is what would end the authority, and so move a boundary.
func isHost(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-._~%!$&'()*+,;=:[]", c) >= 0
}

// setConnection takes what the client says of the connection after the request,
// and before its body.
func (r *Request) setConnection() *Error {
	r.Close = r.Minor == 0 // nobody needs the keep-alive that was added to HTTP/1.0 later
	for _, value := range r.Header["Connection"] {
		for token := range strings.SplitSeq(value, ",") {
			r.Close = r.Close || equalFold(strings.Trim(token, " \t"), "close")
		}
	}
	expect := r.Header["Expect"]
	if len(expect) == 0 || r.Minor == 0 { // HTTP/1.0 has no Expect: to be ignored
		return nil
	}
	if len(expect) > 1 || !equalFold(expect[0], "100-continue") {
		return statusf(http.StatusExpectationFailed, "Expect: want 100-continue")
	}
	r.Expects100 = true
	return nil
}

// framing judges how the body is delimited, and its length where that is known.
func (r *Request) framing(bodyBytesMax int) (body, *Error) {
	lengths, codings := r.Header["Content-Length"], r.Header["Transfer-Encoding"]
	b := body{bytesMax: bodyBytesMax}
	switch {
	case len(codings) == 0 && len(lengths) == 0:
		return b, nil
	case len(codings) > 0 && len(lengths) > 0:
		return b, refusef("Content-Length: beside Transfer-Encoding")
	case len(codings) > 0 && r.Minor == 0:
		return b, refusef("Transfer-Encoding: not in HTTP/1.0")
	case len(codings) > 1:
		return b, refusef("Transfer-Encoding: given more than once")
	case len(lengths) > 1:
		return b, refusef("Content-Length: given more than once")
	case len(codings) > 0:
		if !equalFold(codings[0], "chunked") {
			return b, statusf(http.StatusNotImplemented, "Transfer-Encoding: want chunked alone")
		}
		b.chunked = true
		return b, nil
	}
	return b, b.setLength(lengths[0])
}

// setLength takes the value of Content-Length.
func (b *body) setLength(value string) *Error {
	if value == "" {
		return refusef("Content-Length: empty")
	}
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return refusef("Content-Length: not a whole number")
		}
	}
	for i := range len(value) { // never overflows: it stops at the limit
		d := int(value[i] - '0')
		if b.left > (b.bytesMax-d)/10 || d > b.bytesMax {
			return b.tooLarge()
		}
		b.left = b.left*10 + d
	}
	return nil
}

// equalFold compares a value with an ASCII word, without regard to case. Of equal
// length, since Unicode folds a three-byte sign into the letter k.
func equalFold(value, word string) bool {
	return len(value) == len(word) && strings.EqualFold(value, word)
}
