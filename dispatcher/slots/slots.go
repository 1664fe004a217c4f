// Package slots places users on slots. A slot is an instance's stable index x in
// 0..n-1; the same user hashes to the same slot in every gateway, so a user has
// one instance without anybody keeping a table of users.
//
// It is pure: no clock, no lock, no goroutine, no I/O. The dispatcher calls it
// for each request, so a pick does not allocate.
package slots

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Hash is the number that places uid. It is part of what all gateways of an
// installation must agree on: changing it moves every user.
func Hash(uid string) uint64 { return xxhash.Sum64String(uid) }

// Method says how a hash becomes a slot.
type Method uint8

const (
	// Jump is jump consistent hashing (Lamping and Veach, 2014): a new slot at
	// the top takes 1/(n+1) of the users and moves no others.
	Jump Method = iota
	// Modulo is hash % n: any change of n moves nearly everybody. For backends
	// that already shard by it.
	Modulo
)

var methodNames = [...]string{Jump: "jump", Modulo: "modulo"}

// String returns the name that configuration files use.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("method(%d)", uint8(m))
}

// Valid tells whether m is one of the constants.
func (m Method) Valid() bool { return int(m) < len(methodNames) }

// MarshalText writes the name.
func (m Method) MarshalText() ([]byte, error) {
	if !m.Valid() {
		return nil, fmt.Errorf("hash method %d is unknown", uint8(m))
	}
	return []byte(m.String()), nil
}

// UnmarshalText reads a name.
func (m *Method) UnmarshalText(text []byte) error {
	for i, name := range methodNames {
		if name == string(text) {
			*m = Method(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a hash method, want jump or modulo", text)
}

// Pick returns the slot of hash among n, or -1 when there are no slots.
func (m Method) Pick(hash uint64, n int) int {
	switch {
	case n <= 0:
		return -1
	case n == 1:
		return 0
	case m == Modulo:
		return int(hash % uint64(n))
	}
	return jump(hash, n)
}

// jump walks the slots at which key would have moved as slots were added one by
// one, and returns the last below n. The expected number of steps is ln n.
func jump(key uint64, n int) int {
	var slot, next int64 = -1, 0
	for next < int64(n) {
		slot = next
		key = key*2862933555777941757 + 1 // the paper's linear congruential generator
		next = int64(float64(slot+1) * (float64(1<<31) / float64((key>>33)+1)))
	}
	return int(slot)
}
