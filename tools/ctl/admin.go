package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Admin is the admin address of a gateway.
type Admin struct {
	Address string        // host:port
	Timeout time.Duration // of one question
}

// answerBytesMax bounds what is read of an answer: some thousand instances.
const answerBytesMax = 16 << 20

// get asks path and decodes the answer into v. The error is one line that says
// whom it asked.
func (a Admin) get(ctx context.Context, path string, query url.Values, v any) error {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	u := url.URL{Scheme: "http", Host: a.Address, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("admin address %q: want host:port", a.Address)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil}} // never by way of a proxy
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("admin address %s: %w", a.Address, cause(err, a.Timeout))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	switch {
	case err != nil:
		return fmt.Errorf("admin address %s: %w", a.Address, cause(err, a.Timeout))
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("admin address %s: has no %s; it is not a gateway's", a.Address, path)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("admin address %s: %s", a.Address, refusal(resp.Status, body))
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("admin address %s: %s is not what this version of ctl expects: %w", a.Address, path, err)
	}
	return nil
}

// cause drops what a person has no use for: the URL and the name of the system call.
func cause(err error, timeout time.Duration) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return fmt.Errorf("no answer within %v", timeout)
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err
}

// refusal is the error that an endpoint gave, or the start of whatever came.
func refusal(status string, body []byte) string {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		return said.Error
	}
	text := strings.Join(strings.Fields(string(body)), " ")
	return fmt.Sprintf("%s: %.80s", status, text)
}
