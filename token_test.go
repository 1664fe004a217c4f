package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/logic/keys"
)

func runToken(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(context.Background(), append([]string{"token"}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// TestToken makes tokens with a folder that is not there yet: only the token is
// printed, and the folder's key, which it made, judges it.
func TestToken(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for _, uid := range []string{"1001", "é \"x\""} {
		code, out, errs := runToken("--data", data, "--uid", uid, "--ttl", "1h")
		if code != 0 || errs != "" {
			t.Fatalf("token = %d, stderr %q", code, errs)
		}
		folder, err := keys.OpenFolder(data, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ring, err := keys.NewRing(keys.DefaultPolicy(), time.Now, folder.Key)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := ring.Verify(strings.TrimSuffix(out, "\n"))
		if err != nil || claims.UID != uid {
			t.Errorf("Verify(%q) = %+v, %v, want uid %s", out, claims, err, uid)
		}
		if left := time.Until(claims.ExpiresAt); left > time.Hour+time.Minute || left < 50*time.Minute {
			t.Errorf("token is valid for %v, want 1h", left)
		}
	}
}

func TestTokenMistakes(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--data", data}, exitUsage, "--uid: give the user"},
		{[]string{"--data", data, "--uid", ""}, exitUsage, "--uid: give the user"},
		{[]string{"--data", data, "--uid", strings.Repeat("x", 65)}, exitUsage, "--uid: 65 bytes, at most 64"},
		{[]string{"--data", data, "--uid", "a\nb"}, exitUsage, "--uid: contains the character U+000A"},
		{[]string{"--data", data, "--uid", "1", "--ttl", "0s"}, exitUsage, "--ttl: 0s, want 1s"},
		{[]string{"--data", data, "--uid", "1", "--ttl", "-1h"}, exitUsage, "--ttl: -1h0m0s, want 1s"},
		{[]string{"--data", data, "--uid", "1", "--ttl", "soon"}, exitUsage, "ttl"},
		{[]string{"--data", data, "--uid", "1", "--ttl", "100000h"}, exitUsage, "want 1s to 87600h"},
		{[]string{"--data", "", "--uid", "1"}, exitUsage, "--data: empty"},
		{[]string{"--data", data, "--uid", "1", "more"}, exitUsage, "more"},
		{[]string{"--data", file, "--uid", "1"}, exitFailure, "data folder " + file + ": not a directory"},
		{[]string{"--data", "/dev/null/x", "--uid", "1"}, exitFailure, "data folder /dev/null/x: not a directory"},
	} {
		code, out, errs := runToken(tt.args...)
		if code != tt.code || out != "" || !strings.Contains(errs, tt.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("token %q = %d, stdout %q, stderr %q, want %d, nothing, one line with %q", tt.args, code, out, errs, tt.code, tt.says)
		}
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("a mistake made the folder: %v", err)
	}
}
