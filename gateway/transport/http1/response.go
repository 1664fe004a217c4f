package http1

import (
	"net/http"
	"slices"
	"strconv"
)

// Field is one field of an answer's head. Line breaks in Value are written as
// spaces, so that no value can add a field of its own.
type Field struct{ Name, Value string }

// headBytes is room for the head of an answer with the few fields of ours.
const headBytes = 192

// AppendResponse appends a whole answer: the head with Content-Length,
// Cache-Control: no-store, the fields and, if close, Connection: close, and the
// body. What type the body has is said by a field. An answer to HEAD needs a nil
// body; 204 and 304 have none, whatever body is. It allocates nothing, given room in dst.
func AppendResponse(dst []byte, status int, close bool, body []byte, fields ...Field) []byte {
	dst = slices.Grow(dst, headBytes+len(body)) // once, not by doubling
	bodyless := status == http.StatusNoContent || status == http.StatusNotModified
	dst = appendStatus(dst, status)
	if !bodyless {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		dst = append(dst, "\r\n"...)
	}
	if close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = appendFields(dst, fields)
	if bodyless {
		return dst
	}
	return append(dst, body...)
}

// AppendStreamHead appends the head of an answer whose body is a stream of
// events, in chunks: to proxies that is an answer as any other, with an end that
// can be told from a cut. It is for HTTP/1.1 only. Use AppendChunk for what
// follows and AppendLastChunk to end it; another request may come after that.
func AppendStreamHead(dst []byte, fields ...Field) []byte {
	dst = appendStatus(dst, http.StatusOK)
	dst = append(dst, "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"...)
	return appendFields(dst, fields)
}

// AppendChunk appends b as one chunk of a stream, and nothing if b is empty: an
// empty chunk would end the stream.
func AppendChunk(dst, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = strconv.AppendUint(dst, uint64(len(b)), 16)
	dst = append(dst, "\r\n"...)
	dst = append(dst, b...)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a stream.
func AppendLastChunk(dst []byte) []byte {
	return append(dst, "0\r\n\r\n"...)
}

func appendStatus(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	return append(dst, "\r\n"...)
}

// appendFields appends the fields that all answers share, those given, and the
// end of the head.
func appendFields(dst []byte, fields []Field) []byte {
	dst = append(dst, "Cache-Control: no-store\r\n"...)
	for _, f := range fields {
		dst = append(dst, f.Name...)
		dst = append(dst, ": "...)
		for i := range len(f.Value) {
			c := f.Value[i]
			if c == '\r' || c == '\n' || c == 0 {
				c = ' '
			}
			dst = append(dst, c)
		}
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}
