package gateway

import "testing"

func TestOrigins(t *testing.T) {
	o := newOrigins([]string{"https://app.example.com", "https://*.example.org", "http://localhost:*", "null"})
	for origin, want := range map[string]bool{
		"https://app.example.com":        true,
		"https://app.example.com:8443":   false,
		"http://app.example.com":         false,
		"https://a.example.org":          true,
		"https://a.b.example.org":        true,
		"https://example.org":            false,
		"https://.example.org":           false,
		"https://evil.com/.example.org":  false,
		"https://evil.com:1.example.org": false,
		"https://u@x.example.org":        false,
		"https://evil.com#.example.org":  false,
		"https://evil.com?.example.org":  false,
		"https://evil.com\\.example.org": false,
		"http://localhost:80 x":          false,
		"http://localhost:5173":          true,
		"http://localhost:":              false,
		"http://localhost":               false,
		"null":                           true,
		"":                               false,
		"*":                              false,
	} {
		if got := o.allows(origin); got != want {
			t.Errorf("allows(%q) = %v, want %v", origin, got, want)
		}
	}
	if (origins{}).allows("https://app.example.com") {
		t.Error("the zero value lets a page in")
	}
	if !newOrigins([]string{"*"}).allows("https://x") {
		t.Error("* does not let everybody in")
	}
}

func TestCheckOrigin(t *testing.T) {
	for _, good := range []string{"*", "null", "https://a", "http://localhost:*", "https://*.a.b", "https://[::1]:80", "capacitor://localhost"} {
		if err := checkOrigin(good); err != nil {
			t.Errorf("checkOrigin(%q) = %v, want nil", good, err)
		}
	}
	for _, bad := range []string{"", "a.b", "https://", "https://a/", "https://a/x", "https://*", "https://a*.b", "*://a", "https://*.*.a", "https://u@a", "https://a b"} {
		if checkOrigin(bad) == nil {
			t.Errorf("checkOrigin(%q) = nil, want an error", bad)
		}
	}
}
