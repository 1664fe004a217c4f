package logic

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/backend/presence"
	"github.com/holdfast-io/holdfast/backend/store"
)

// Config holds what an operator may change. Zero values are not defaults: start
// from DefaultConfig.
type Config struct {
	// Kit is how the gateways reach this service.
	Kit kit.Config `koanf:"kit"`
	// Data is the folder of the database, and of a key made at the first start
	// that judges tokens when Keys is empty.
	Data string `koanf:"data"`
	// Keys are the keys that tokens may be signed with. With any given, the data
	// folder's own key counts for nothing.
	Keys []keys.Config `koanf:"keys"`
	// Tokens is what a token must fulfil besides its signature.
	Tokens keys.Policy `koanf:"tokens"`
	// Store is the database.
	Store store.Config `koanf:"store"`
	// Presence is how long sessions count as online.
	Presence presence.Config `koanf:"presence"`
	// Messages bounds what clients send and fetch.
	Messages MessagesConfig `koanf:"messages"`
	// Delivery bounds what waits to be pushed.
	Delivery DeliveryConfig `koanf:"delivery"`
}

// MessagesConfig bounds what clients send and fetch.
type MessagesConfig struct {
	// ContentBytes bounds the content of a message, white space that means nothing
	// not counted. With at most 640 bytes around it, it must fit the gateways'
	// frames.
	ContentBytes int `koanf:"content_bytes"`
	// PullBytes bounds the reply to a pull, which ends early then. It must fit the
	// gateways' frames.
	PullBytes int `koanf:"pull_bytes"`
}

// DeliveryConfig bounds what waits to be pushed. What does not fit is not pushed;
// it stays in the timelines.
type DeliveryConfig struct {
	// Queue is how many stored messages wait to be pushed.
	Queue int `koanf:"queue"`
	// QueueBytes is how large their contents are together.
	QueueBytes int `koanf:"queue_bytes"`
	// CatchUp is how long after its start the service keeps what it pushes, for
	// sessions that it does not know of until their gateways have announced them
	// again.
	CatchUp time.Duration `koanf:"catch_up"`
	// HeldBytes bounds what is kept during CatchUp.
	HeldBytes int `koanf:"held_bytes"`
	// Grace is how long a new session's record is believed although its gateway
	// says that it has no such session: the login may be under way.
	Grace time.Duration `koanf:"grace"`
}

// itemBytesMax bounds a message around its content: three names of 64 bytes, each
// of which may be a character that doubles as it is escaped, a type of 32, five
// numbers and the keys.
const itemBytesMax = 640

// DefaultConfig returns the defaults, for gateways with frames of 64 KiB.
// Kit.Listen must be given.
func DefaultConfig() Config {
	c := Config{
		Kit:      kit.DefaultConfig(),
		Data:     ".holdfast",
		Tokens:   keys.DefaultPolicy(),
		Store:    store.DefaultConfig(),
		Presence: presence.DefaultConfig(),
		Messages: MessagesConfig{ContentBytes: 32 << 10, PullBytes: 60 << 10},
		Delivery: DeliveryConfig{
			Queue: 16384, QueueBytes: 32 << 20,
			CatchUp: 30 * time.Second, HeldBytes: 32 << 20,
			Grace: 15 * time.Second,
		},
	}
	c.Kit.Service = "logic"
	return c
}

// Validate reports every setting that cannot work, not only the first. Each
// error begins with the setting's key.
func (c Config) Validate() error {
	var errs []error
	section := func(key string, err error) {
		if err == nil {
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			errs = append(errs, fmt.Errorf("%s.%s", key, line))
		}
	}
	section("kit", c.Kit.Validate())
	if c.Data == "" && (len(c.Keys) == 0 || c.Store.Path == "") {
		errs = append(errs, errors.New("data: empty, but needed unless keys and store.path are given"))
	}
	kids := map[string]bool{}
	for i, k := range c.Keys {
		section(fmt.Sprintf("keys.%d", i), k.Validate())
		if kids[k.Kid] {
			errs = append(errs, fmt.Errorf("keys.%d.kid: %q is another key's too", i, k.Kid))
		}
		kids[k.Kid] = true
	}
	section("tokens", c.Tokens.Validate())
	section("store", c.Store.Validate())
	section("presence", c.Presence.Validate())
	section("messages", c.Messages.validate())
	section("delivery", c.Delivery.validate())
	return errors.Join(errs...)
}

func (c MessagesConfig) validate() error {
	var errs []error
	if c.ContentBytes < 1 {
		errs = append(errs, fmt.Errorf("content_bytes: %d, want at least 1", c.ContentBytes))
	}
	if least := c.ContentBytes + itemBytesMax + pullBytesAround; c.PullBytes < least {
		errs = append(errs, fmt.Errorf("pull_bytes: %d, want at least %d: one message of content_bytes", c.PullBytes, least))
	}
	return errors.Join(errs...)
}

func (c DeliveryConfig) validate() error {
	var errs []error
	for _, n := range []struct {
		key string
		is  int
	}{{"queue", c.Queue}, {"queue_bytes", c.QueueBytes}} {
		if n.is < 1 {
			errs = append(errs, fmt.Errorf("%s: %d, want at least 1", n.key, n.is))
		}
	}
	if c.HeldBytes < 0 {
		errs = append(errs, fmt.Errorf("held_bytes: %d, want 0 or more", c.HeldBytes))
	}
	for _, d := range []struct {
		key string
		is  time.Duration
	}{{"catch_up", c.CatchUp}, {"grace", c.Grace}} {
		if d.is < 0 {
			errs = append(errs, fmt.Errorf("%s: %v, want 0s or more", d.key, d.is))
		}
	}
	return errors.Join(errs...)
}
