package poll

import (
	"bytes"
	"strconv"
)

// comment is what keeps an idle stream alive: a line that says nothing, and an
// empty one.
const comment = ":\n\n"

// appendEvent appends frame, which is JSON, as one event of a stream. seq is its
// id, 0 for none. A line break in JSON is white space between tokens, where the
// line feed that joins two data lines means the same.
func appendEvent(dst []byte, seq uint64, frame []byte) []byte {
	if seq != 0 {
		dst = append(dst, "id: "...)
		dst = strconv.AppendUint(dst, seq, 10)
		dst = append(dst, '\n')
	}
	for {
		dst = append(dst, "data: "...)
		end := bytes.IndexAny(frame, "\r\n")
		if end < 0 {
			break
		}
		dst = append(append(dst, frame[:end]...), '\n')
		frame = frame[end+1:]
	}
	dst = append(dst, frame...)
	return append(dst, "\n\n"...)
}
