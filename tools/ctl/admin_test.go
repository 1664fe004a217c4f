package ctl

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestAdminMistakes checks that whatever keeps an answer from coming is one line
// that says whom ctl asked.
func TestAdminMistakes(t *testing.T) {
	hang := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/api/hang", func(http.ResponseWriter, *http.Request) { <-hang })
	mux.HandleFunc("/api/no", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"uid: empty"}`))
	})
	mux.HandleFunc("/api/broken", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a\nb", http.StatusBadGateway) })
	mux.HandleFunc("/api/text", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	server := httptest.NewServer(mux)
	t.Cleanup(func() { close(hang); server.Close() })
	here := strings.TrimPrefix(server.URL, "http://")

	tests := []struct{ address, path, want string }{
		{here, "/api/hang", "admin address " + here + ": no answer within 200ms"},
		{here, "/api/no", "admin address " + here + ": uid: empty"},
		{here, "/api/broken", "admin address " + here + ": 502 Bad Gateway: a b"},
		{here, "/api/text", "admin address " + here + ": /api/text is not what this version of ctl expects: "},
		{here, "/api/other", "admin address " + here + ": has no /api/other; it is not a gateway's"},
		{"127.0.0.1:1", "/api/no", "admin address 127.0.0.1:1: connect: connection refused"},
		{"a b", "/api/no", `admin address "a b": want host:port`},
	}
	for _, tt := range tests {
		var v map[string]any
		err := Admin{Address: tt.address, Timeout: 200 * time.Millisecond}.get(t.Context(), tt.path, url.Values{}, &v)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("get %s of %s = %v, want %q and one line", tt.path, tt.address, err, tt.want)
		}
	}
}
