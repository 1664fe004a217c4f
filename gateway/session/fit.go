package session

import "github.com/holdfast-io/holdfast/gateway/wire"

// jsonHeadBytes is more than a REPLY or PUSH in JSON takes beside its payload,
// and a command for each byte of it.
const jsonHeadBytes = 192

// fits reports whether f is within max_frame on the session's connection. In JSON
// the text counts, in which a payload that is not JSON takes a third more. Without
// a connection the binary form counts: nobody knows on what the client comes back.
func (s *Session) fits(f wire.Frame) bool {
	limit, size := s.deps.Limits.FrameBytesMax, f.BinaryLen()
	switch {
	case size > limit:
		return false
	case size+size/3+jsonHeadBytes <= limit:
		return true
	}
	conn := s.Conn()
	if conn == nil || conn.Encoding() != wire.JSON {
		return true
	}
	text, err := wire.AppendJSON(nil, &f)
	return err == nil && len(text) <= limit
}
