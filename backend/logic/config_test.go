package logic

import (
	"errors"
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/backend/store"
)

func TestConfigValidate(t *testing.T) {
	c := DefaultConfig()
	c.Kit.Listen = "127.0.0.1:0"
	if err := c.Validate(); err != nil {
		t.Errorf("default configuration: %v", err)
	}
	c.Data = ""
	c.Keys = []keys.Config{{Kid: "k", Algorithm: keys.HS256, File: "f"}, {Kid: "k", Algorithm: "none", File: "f"}}
	c.Tokens.Leeway = -1
	c.Store.Readers = 0
	c.Presence.Lease = 0
	c.Messages.PullBytes = 100
	c.Delivery = DeliveryConfig{HeldBytes: -1, CatchUp: -1, Grace: -1}
	want := []string{
		"data: empty, but needed unless keys and store.path are given",
		`keys.1.algorithm: "none", want HS256 or EdDSA`,
		`keys.1.kid: "k" is another key's too`,
		"tokens.leeway: -1ns, want 0s to 5m",
		"store.readers: 0, want at least 1",
		"presence.lease: 0s, want at least 1s",
		"messages.pull_bytes: 100, want at least 33433: one message of content_bytes",
		"delivery.queue: 0, want at least 1",
		"delivery.queue_bytes: 0, want at least 1",
		"delivery.held_bytes: -1, want 0 or more",
		"delivery.catch_up: -1ns, want 0s or more",
		"delivery.grace: -1ns, want 0s or more",
	}
	err := c.Validate()
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("Validate = %v\nwant %s", err, strings.Join(want, "\n"))
	}
}

func TestFailure(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status kit.Status
		want   string
	}{
		{errors.Join(store.ErrNotStored, store.ErrBusy), kit.ResourceExhausted,
			`{"message":"not stored: too much to store; send it again later","reason":"busy","retry_after_ms":500}`},
		{errors.Join(store.ErrNotStored, errors.New("disk full at /secret")), kit.Unavailable,
			`{"message":"not done: the store does not answer; send it again later","reason":"store_unavailable","retry_after_ms":500}`},
		{errors.Join(store.ErrUnknown, errors.New("disk gone")), kit.Unknown,
			`{"message":"it may be stored; send it again with the same client_msg_id","reason":"store_unknown"}`},
		{errors.New("read failed"), kit.Unavailable,
			`{"message":"not done: the store does not answer; send it again later","reason":"store_unavailable","retry_after_ms":500}`},
	} {
		var f *kit.Failure
		if err := failure(tt.err); !errors.As(err, &f) || f.Status != tt.status || string(f.Payload) != tt.want {
			t.Errorf("failure(%v) = %v %s, want %v %s", tt.err, f.Status, f.Payload, tt.status, tt.want)
		}
	}
}
