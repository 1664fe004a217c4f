package gateway

import (
	"fmt"
	"strings"
)

// origins are the pages that may connect from a browser. The zero value lets no
// page in: a request that names an Origin is a browser's, and the browser's user
// has not chosen the page.
type origins struct {
	any   bool
	exact map[string]struct{}
	wild  []wildOrigin
}

// wildOrigin is an origin with one star: any name of a domain, or any port.
type wildOrigin struct{ before, after string }

// newOrigins takes what checkOrigin accepts.
func newOrigins(list []string) origins {
	o := origins{exact: make(map[string]struct{})}
	for _, text := range list {
		text = strings.ToLower(text)
		if text == "*" {
			o.any = true
		} else if before, after, ok := strings.Cut(text, "*"); ok {
			o.wild = append(o.wild, wildOrigin{before, after})
		} else {
			o.exact[text] = struct{}{}
		}
	}
	return o
}

// allows reports whether a page of origin may connect. origin is what the
// browser sent, which spells scheme and host in lower case.
func (o origins) allows(origin string) bool {
	if origin == "" || len(origin) > originBytesMax {
		return false
	}
	if _, ok := o.exact[origin]; ok || o.any {
		return true
	}
	for _, w := range o.wild {
		middle, ok := strings.CutPrefix(origin, w.before)
		if !ok {
			continue
		}
		if middle, ok = strings.CutSuffix(middle, w.after); ok && middle != "" && strings.IndexFunc(middle, notInHost) < 0 {
			return true
		}
	}
	return false
}

// notInHost reports whether c cannot be a part of a host's name or of a port, as
// browsers send them: names of other scripts come in ASCII.
func notInHost(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_')
}

// originBytesMax is longer than any name of a host with scheme and port.
const originBytesMax = 300

// checkOrigin refuses what is not an origin, or more than one star in it.
func checkOrigin(text string) error {
	if text == "*" || text == "null" {
		return nil
	}
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case !ok || scheme == "" || rest == "" || strings.ContainsAny(rest, "/?#@ ") || strings.Contains(scheme, "*"):
		return fmt.Errorf("%q, want scheme://host[:port] without a path, such as https://app.example.com", text)
	case strings.Count(rest, "*") > 1:
		return fmt.Errorf("%q, want at most one *", text)
	case strings.Contains(rest, "*") && !strings.HasPrefix(rest, "*.") && !strings.HasSuffix(rest, ":*"):
		return fmt.Errorf("%q, want the * for the names of a domain (https://*.example.com) or for the port (http://localhost:*)", text)
	case len(text) > originBytesMax:
		return fmt.Errorf("%q, want at most %d bytes", text[:40]+"...", originBytesMax)
	}
	return nil
}
