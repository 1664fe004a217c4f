package proc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// scrapeTime bounds one read of /metrics.
	scrapeTime = 5 * time.Second
	// scrapeBytesMax bounds what is read: a gateway's answer has some 50 KB.
	scrapeBytesMax = 4 << 20
	mallocsMetric  = "go_memstats_mallocs_total"
)

// Mallocs asks a server's admin address how many heap objects it has
// allocated since its start. Asking allocates some thousands itself, so the
// difference of two calls means something over many messages only.
func Mallocs(ctx context.Context, admin string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	url := "http://" + admin + "/metrics"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, fmt.Errorf("admin address %q: %w", admin, err)
	}
	// A connection of its own: none stays behind in the client's pool.
	t := &http.Transport{DisableKeepAlives: true}
	defer t.CloseIdleConnections()
	resp, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return 0, fmt.Errorf("metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("metrics: %s answers %s", url, resp.Status)
	}
	n, err := findMetric(io.LimitReader(resp.Body, scrapeBytesMax), mallocsMetric)
	if err != nil {
		return 0, fmt.Errorf("metrics: %s: %w", url, err)
	}
	return n, nil
}

// findMetric returns the value of a metric without labels in the text format.
func findMetric(r io.Reader, name string) (float64, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), name+" ")
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		return n, nil
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("no metric %s", name)
}
