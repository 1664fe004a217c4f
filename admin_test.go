package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestReadyzNamesWhatIsMissing(t *testing.T) {
	h := &health{}
	reason := "draining"
	h.add("gateway", func() string { return reason })
	h.add("echo", func() string { return "" })
	admin := adminHandler(h, newRegistry())

	w := get(t, admin, "GET", "/readyz")
	var got []notReady
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	if w.Code != 503 || len(got) != 1 || got[0] != (notReady{"gateway", "draining"}) {
		t.Errorf("GET /readyz = %d %s, want 503 and the gateway", w.Code, w.Body)
	}
	reason = ""
	if w := get(t, admin, "GET", "/readyz"); w.Code != 200 || strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("GET /readyz = %d %s, want 200 []", w.Code, w.Body)
	}
}

func TestAdminPaths(t *testing.T) {
	admin := adminHandler(&health{}, newRegistry())
	tests := []struct {
		method, path string
		code         int
		contains     string
	}{
		{"GET", "/livez", 200, "ok"},
		{"GET", "/readyz", 200, "[]"},
		{"GET", "/metrics", 200, "go_memstats_mallocs_total"},
		{"GET", "/metrics", 200, "process_resident_memory_bytes"},
		{"GET", "/metrics", 200, "holdfast_build_info{"},
		{"GET", "/debug/pprof/", 200, "goroutine"},
		{"GET", "/debug/pprof/heap", 200, ""},
		{"POST", "/readyz", 405, ""},
		{"GET", "/", 404, ""},
	}
	for _, tt := range tests {
		if w := get(t, admin, tt.method, tt.path); w.Code != tt.code || !strings.Contains(w.Body.String(), tt.contains) {
			t.Errorf("%s %s = %d, want %d with %q in the body", tt.method, tt.path, w.Code, tt.code, tt.contains)
		}
	}
}

// TestAdminStops checks that the server ends with its context though a client
// keeps a connection open.
func TestAdminStops(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serveAdmin(ctx, ln, adminHandler(&health{}, newRegistry()), slog.New(slog.DiscardHandler))
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://" + ln.Addr().String() + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "ok\n" {
		t.Errorf("GET /livez = %q, want ok", body)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("serveAdmin = %v, want nil", err)
	}
}
