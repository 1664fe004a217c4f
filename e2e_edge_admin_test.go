package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// TestEdgeAnswersNoAdminPath asks the clients' port for every path of the admin
// server, in every spelling that might slip through, without TLS and with it.
func TestEdgeAnswersNoAdminPath(t *testing.T) {
	d := startDevProcess(t, "--tls")
	asked := 0
	for _, dial := range []func() (net.Conn, error){
		func() (net.Conn, error) { return net.Dial("tcp", d.endpoint) },
		func() (net.Conn, error) { return tls.Dial("tcp", d.endpoint, trusting(t, d.data)) },
	} {
		for _, target := range targets(d.admin) {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
				asked++
				status, answer := askRaw(t, dial, method, target, d.admin)
				if status != "404" || strings.Contains(answer, "holdfast_") || strings.Contains(answer, "goroutine") {
					t.Errorf("%s %s = %s\n%.300s\nwant 404 and nothing of the admin server", method, target, status, answer)
				}
			}
		}
	}
	// The paths are the admin server's indeed.
	awaitAdmin(t, d.admin, "/metrics", func(status int, _ string) bool { return status == 200 }, "metrics")
	testenv.Figure(t, "P26", "%d requests for admin paths at the clients' port: all 404", asked)
}

// targets are the admin paths, as they stand and as a proxy's request would name them.
func targets(admin string) []string {
	out := adminPaths
	for _, path := range []string{"/metrics", "/debug/pprof/", "/readyz"} {
		out = append(out[:len(out):len(out)], "http://"+admin+path, "/v1/poll/.."+path, "/v1/events/"+path, path+"?x=/v1/poll", path+";/v1/poll")
	}
	return out
}

// trusting is a client that trusts the certificate of dev.
func trusting(t *testing.T, data string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(data, "tls-cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the certificate of dev is no PEM")
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// askRaw sends a request as it is, on a connection of its own, and returns the
// status and all that was answered.
func askRaw(t *testing.T, dial func() (net.Conn, error), method, target, host string) (status, answer string) {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience)) // a failure shows in ReadAll
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, target, host)
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	_, rest, _ := strings.Cut(string(all), " ")
	status, _, _ = strings.Cut(rest, " ")
	return status, string(all)
}
