package main

import (
	"encoding/json"
	"errors"
	"net/http"
)

// endpoint is a path of the admin server that tells of a part. It is read-only.
type endpoint struct {
	path string
	ask  func(query func(name string) string) (any, error)
}

// badQuery is a mistake of whoever asks.
type badQuery struct{ error }

// serve answers with JSON: what ask returned, or {"error":"..."} with 400 or 500.
func (e endpoint) serve(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	answer, err := e.ask(values.Get)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		status := http.StatusInternalServerError
		if errors.As(err, &badQuery{}) {
			status = http.StatusBadRequest
		}
		w.WriteHeader(status)
		answer = map[string]string{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(answer) // the caller is gone: nobody to tell
}
