package main

import (
	"errors"
	"strings"
	"testing"
)

// TestEndpoints checks what the admin server answers for a part.
func TestEndpoints(t *testing.T) {
	ask := endpoint{"/api/thing", func(query func(string) string) (any, error) {
		switch name := query("name"); name {
		case "":
			return nil, badQuery{errors.New("name: empty")}
		case "broken":
			return nil, errors.New("no")
		default:
			return []string{name}, nil
		}
	}}
	admin := adminHandler(&health{}, newRegistry(), ask)
	tests := []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/api/thing?name=x", 200, `["x"]`},
		{"GET", "/api/thing", 400, `{"error":"name: empty"}`},
		{"GET", "/api/thing?name=broken", 500, `{"error":"no"}`},
		{"POST", "/api/thing?name=x", 405, ""},
		{"GET", "/api/other", 404, ""},
	}
	for _, tt := range tests {
		w := get(t, admin, tt.method, tt.path)
		if body := strings.TrimSpace(w.Body.String()); w.Code != tt.code || tt.body != "" && body != tt.body {
			t.Errorf("%s %s = %d %s, want %d %s", tt.method, tt.path, w.Code, body, tt.code, tt.body)
		}
		if tt.body != "" && (w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s %s: headers %v", tt.method, tt.path, w.Header())
		}
	}
}
