package poll

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
)

func TestParseQuery(t *testing.T) {
	for _, tt := range []struct{ in, want, refused string }{
		{"", "", ""},
		{"seq=0", "seq=0", ""},
		{"seq=9223372036854775807&replies=4294967295", "seq=9223372036854775807 replies=4294967295", ""},
		{"x=1&seq=7&x=2&SEQ=3&&=", "seq=7", ""},
		{"wait_ms=x&seq=1", "seq=1", ""}, // a field of another call
		{"seq=9223372036854775808", "", "seq: want an integer from 0 to 9223372036854775807"},
		{"seq=99999999999999999999999", "", "seq: want an integer from 0 to 9223372036854775807"},
		{"replies=0", "", "replies: want an integer from 1 to 4294967295"},
		{"replies=4294967296", "", "replies: want an integer from 1 to 4294967295"},
		{"seq=", "", "seq: want an integer from 0 to 9223372036854775807"},
		{"seq", "", "seq: want an integer from 0 to 9223372036854775807"},
		{"seq=-1", "", "seq: want an integer from 0 to 9223372036854775807"},
		{"seq=+1", "", "seq: want an integer from 0 to 9223372036854775807"},
		{"seq=1.0", "", "seq: want an integer from 0 to 9223372036854775807"},
		{"seq=%31", "", "seq: want an integer from 0 to 9223372036854775807"},
		{"seq=1&seq=1", "", "seq: repeats"},
	} {
		q, refused := parseQuery(tt.in, querySeq, queryReplies)
		message := ""
		if refused != nil {
			message = refused.Message
		}
		if got := queryText(q); message != tt.refused || message == "" && got != tt.want {
			t.Errorf("parseQuery(%q) = %q, %q, want %q, %q", tt.in, got, message, tt.want, tt.refused)
		}
	}
}

func queryText(q query) string {
	var out []string
	for i, name := range queryNames {
		if q.has[i] {
			out = append(out, name+"="+strconv.FormatUint(q.value[i], 10))
		}
	}
	return strings.Join(out, " ")
}

func TestBearer(t *testing.T) {
	long := strings.Repeat("s", 128)
	for _, tt := range []struct {
		fields []string
		want   string
	}{
		{nil, ""},
		{[]string{"Bearer s.x"}, "s x"},
		{[]string{"bEARER s.x"}, "s x"},
		{[]string{"Bearer " + long + "." + long}, long + " " + long},
		{[]string{"Bearer s" + long + ".x"}, ""},
		{[]string{"Bearer s.x", "Bearer s.x"}, ""},
		{[]string{"Bearer " + strings.Repeat(".", 1<<20)}, ""},
		{[]string{"Basic s.x"}, ""},
		{[]string{"Bearer"}, ""},
		{[]string{"Bearer "}, ""},
		{[]string{"Bearer s"}, ""},
		{[]string{"Bearer s."}, ""},
		{[]string{"Bearer .x"}, ""},
		{[]string{"Bearer s.x.y"}, ""},
		{[]string{"Bearer  s.x"}, ""},
		{[]string{"Bearer s.x "}, ""},
		{[]string{"Bearer s.\x80"}, ""},
	} {
		session, secret, ok := bearer(&http1.Request{Header: http.Header{"Authorization": tt.fields}})
		if got := strings.TrimSpace(session + " " + secret); got != tt.want || ok != (tt.want != "") {
			t.Errorf("bearer(%.40q) = %q, %v, want %q", tt.fields, got, ok, tt.want)
		}
	}
}

// FuzzQuery: what is accepted means to net/url what it means to us.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "seq=1", "seq=1&replies=2", "wait_ms=0&x=%20", "seq=%31", "seq=1;replies=2", "&&seq=1=2", "seq"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, refused := parseQuery(raw, querySeq, queryWait)
		if refused != nil {
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			return // a field that we ignore
		}
		for i, name := range queryNames {
			if q.has[i] && (len(values[name]) == 0 || strings.TrimLeft(values.Get(name), "0") != strings.TrimLeft(strconv.FormatUint(q.value[i], 10), "0")) {
				t.Errorf("%q: %s = %d, net/url says %q", raw, name, q.value[i], values[name])
			}
		}
	})
}

// FuzzBearer: what is accepted is put together again to the same.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"", "Bearer s.x", "bearer a.b", "Bearer ..", "Bearer a.b.c", "Bearer \t.x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		session, secret, ok := bearer(&http1.Request{Header: http.Header{"Authorization": {value}}})
		if ok && (!strings.EqualFold(value[:7], "bearer ") || value[7:] != session+"."+secret || strings.ContainsAny(session+secret, ". \t\r\n")) {
			t.Errorf("bearer(%q) = %q, %q", value, session, secret)
		}
	})
}
