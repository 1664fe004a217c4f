package admission

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"
)

// Ranges is a set of addresses, looked up in a few nanoseconds however many
// ranges it has. It is immutable; the nil Ranges is empty.
type Ranges struct{ table bart.Lite }

// ParseRanges reads addresses and ranges in CIDR notation. The error names the first text that is
// neither, and its index as key.
func ParseRanges(texts []string) (*Ranges, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	r := new(Ranges)
	for i, text := range texts {
		p, err := parseRange(text)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		r.table.Insert(p)
	}
	return r, nil
}

// Contains tells whether addr is in one of the ranges. An IPv4-mapped address is
// the IPv4 address, a zone does not count, and an invalid address is in none.
func (r *Ranges) Contains(addr netip.Addr) bool {
	return r != nil && addr.IsValid() && r.table.Contains(addr.Unmap())
}

// parseRange reads one range. Host bits that are set are a mistake more often
// than not: 10.0.0.1/8 may have been meant as one address.
func parseRange(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return p, fmt.Errorf("%q is neither an address nor a range such as 10.0.0.0/8", text)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if p.Addr().Is4In6() {
		return p, fmt.Errorf("%q: write it as a range of IPv4", text)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%q has bits beyond its length; %v is the whole range", text, p.Masked())
	}
	return p, nil
}

// addressKey is who an address stands for: an IPv4 address, or a /64 of IPv6.
type addressKey struct{ hi, lo uint64 }

// keyOf returns the key of a valid address.
func keyOf(addr netip.Addr) addressKey {
	b := addr.As16() // IPv4 as ::ffff:a.b.c.d, which no /64 key equals: its lo is not 0
	k := addressKey{hi: binary.BigEndian.Uint64(b[:8])}
	if addr.Is4() || addr.Is4In6() {
		k.lo = binary.BigEndian.Uint64(b[8:])
	}
	return k
}
