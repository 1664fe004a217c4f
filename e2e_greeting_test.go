package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// TestGreetingWorksInABrowser pastes the lines that dev prints for a browser's
// console into a page of this machine, and looks at what the console shows.
func TestGreetingWorksInABrowser(t *testing.T) {
	d := startDevProcess(t)
	lines := d.await(d.out, `(?ms)^In a browser: [^\n]*\n\n(.*?)\n\n`)[1]
	said := make(chan string, 16)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16)) // a failure shows as a line that is missing
			said <- string(text)
			return
		}
		fmt.Fprintf(w, "<script>console.log = text => fetch('/', {method: 'POST', body: text})\n%s</script>", lines)
	}))
	defer page.Close()
	openPage(t, page.URL)
	deadline := time.After(patience)
	var all strings.Builder
	for _, want := range []string{`{"type":"welcome",`, `{"type":"reply","id":1,"status":0,"payload":"hi"}`} {
		for !strings.Contains(all.String(), want) {
			select {
			case text := <-said:
				all.WriteString(text + "\n")
			case <-deadline:
				t.Fatalf("the console shows\n%s\nand no %s", all.String(), want)
			}
		}
	}
}

// openPage opens a page in a browser of its own, which ends with the test.
func openPage(t *testing.T, url string) {
	t.Helper()
	// Not t.TempDir: a process of the browser may still write while it is killed.
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testenv.Chromium(t), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
		"--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--user-data-dir="+profile, url)
	// A group of its own, since the browser is many processes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		_ = cmd.Wait()
		for range 100 {
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}
