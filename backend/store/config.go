package store

import (
	"errors"
	"fmt"
	"time"
)

// Config holds what an operator may change of the embedded store. Zero values
// are not defaults: start from DefaultConfig.
type Config struct {
	// Path is the database file. Its folder must exist. Empty: the owner of this
	// configuration chooses.
	Path string `koanf:"path"`
	// WriteQueue bounds how many writers wait for their turn.
	WriteQueue int `koanf:"write_queue"`
	// WriteWait bounds how long a writer waits for its turn, and how long for the
	// file when another process has it: twice this at worst. It should be below
	// the time-out of the route that brings the messages.
	WriteWait time.Duration `koanf:"write_wait"`
	// Readers bounds how many reads run at once.
	Readers int `koanf:"readers"`
}

// DefaultConfig returns the settings for one machine. A write takes well under a
// millisecond besides the disk's flush, so 1,024 waiting writers are about a
// second's worth on a disk that flushes in 1 ms.
func DefaultConfig() Config {
	return Config{WriteQueue: 1024, WriteWait: 800 * time.Millisecond, Readers: 4}
}

// Validate reports every setting that cannot work, not only the first.
func (c Config) Validate() error {
	var errs []error
	if c.WriteQueue < 1 {
		errs = append(errs, fmt.Errorf("write_queue: %d, want at least 1", c.WriteQueue))
	}
	if c.WriteWait < time.Millisecond {
		errs = append(errs, fmt.Errorf("write_wait: %v, want at least 1ms", c.WriteWait))
	}
	if c.Readers < 1 {
		errs = append(errs, fmt.Errorf("readers: %d, want at least 1", c.Readers))
	}
	return errors.Join(errs...)
}
