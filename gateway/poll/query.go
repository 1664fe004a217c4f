package poll

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// The numbers that a query may have.
const (
	querySeq = iota
	queryReplies
	queryWait
	queryFields
)

var queryNames = [queryFields]string{querySeq: "seq", queryReplies: "replies", queryWait: "wait_ms"}

// queryBounds are the least and the greatest of each.
var queryBounds = [queryFields][2]uint64{
	querySeq:     {0, wire.SeqMax},
	queryReplies: {1, 1<<32 - 1},
	queryWait:    {0, wire.DurationMSMax},
}

// query is what a call says beside its body. What is absent is not in has.
type query struct {
	value [queryFields]uint64
	has   [queryFields]bool
}

// parseQuery reads the fields from first to last of a query. As in JSON frames,
// others are ignored and may repeat, and a number is digits alone, so an escaped
// one is refused.
func parseQuery(raw string, first, last int) (q query, refused *wire.ProtocolError) {
	for raw != "" {
		var field string
		field, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(field, "=")
		for i := first; i <= last; i++ {
			known := queryNames[i]
			if name != known {
				continue
			}
			if q.has[i] {
				return q, protocolErrorf("%s: repeats", known)
			}
			if refused := q.set(i, known, value); refused != nil {
				return q, refused
			}
		}
	}
	return q, nil
}

func (q *query) set(i int, name, value string) *wire.ProtocolError {
	n, ok := number(value)
	if least, most := queryBounds[i][0], queryBounds[i][1]; !ok || n < least || n > most {
		return protocolErrorf("%s: want an integer from %d to %d", name, least, most)
	}
	q.value[i], q.has[i] = n, true
	return nil
}

// lastEventID is where a stream that broke says that it was. An explicit seq is
// worth more.
func (q *query) lastEventID(r *http1.Request) *wire.ProtocolError {
	value := r.Header.Get("Last-Event-ID")
	if value == "" || q.has[querySeq] {
		return nil
	}
	return q.set(querySeq, "last-event-id", value)
}

// number reads digits. Without a digit, or with more than an uint64 has, it is
// none.
func number(s string) (n uint64, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// protocolErrorf refuses with 4500. The arguments are numbers and names of ours.
func protocolErrorf(format string, args ...any) *wire.ProtocolError {
	return &wire.ProtocolError{Code: wire.CloseProtocolError, Message: wire.TrimReason(fmt.Sprintf(format, args...))}
}

// bearerBytesMax bounds what is split: two texts and a dot.
const bearerBytesMax = 2*wire.ResumeTextBytesMax + 1

// bearer reads Authorization. Its size is judged before it is split.
func bearer(r *http1.Request) (session, secret string, ok bool) {
	fields := r.Header["Authorization"]
	if len(fields) != 1 {
		return "", "", false
	}
	const scheme = "Bearer "
	value := fields[0]
	if len(value) > len(scheme)+bearerBytesMax || len(value) <= len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", "", false
	}
	session, secret, ok = strings.Cut(value[len(scheme):], ".")
	if !ok || !bearerText(session) || !bearerText(secret) {
		return "", "", false
	}
	return session, secret, true
}

// bearerText reports whether s can be one half of a bearer.
func bearerText(s string) bool {
	if s == "" || len(s) > wire.ResumeTextBytesMax {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F || s[i] == '.' {
			return false
		}
	}
	return true
}
