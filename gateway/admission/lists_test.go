package admission

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRanges(t *testing.T) {
	r, err := ParseRanges([]string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.1"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"10.255.0.1": true, "11.0.0.1": false, "192.0.2.7": true, "192.0.2.8": false,
		"::ffff:10.0.0.1": true, "2001:db8:1::5": true, "2001:db9::1": false, "198.51.100.1": true,
		"2001:db8::1%eth0": true,
	} {
		if got := r.Contains(addr(text)); got != want {
			t.Errorf("Contains(%s) = %t, want %t", text, got, want)
		}
	}
	if r.Contains(netip.Addr{}) {
		t.Error("Contains(no address) = true, want false")
	}
	var none *Ranges
	if none.Contains(addr("10.0.0.1")) {
		t.Error("the nil Ranges contains something")
	}
}

func TestRangesRefused(t *testing.T) {
	for _, text := range []string{"", "10.0.0.0/33", "10.0.0.1/8", "host.example", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0"} {
		_, err := ParseRanges([]string{"10.0.0.0/8", text})
		if err == nil || !strings.HasPrefix(err.Error(), "1: ") {
			t.Errorf("ParseRanges(%q) = %v, want an error that names item 1", text, err)
		}
	}
}

func TestKeyOf(t *testing.T) {
	same := [][2]string{{"10.0.0.1", "::ffff:10.0.0.1"}, {"2001:db8::1", "2001:db8::ffff:1:2:3"}, {"fe80::1%a", "fe80::1%b"}}
	for _, pair := range same {
		if keyOf(addr(pair[0])) != keyOf(addr(pair[1])) {
			t.Errorf("%s and %s have different keys", pair[0], pair[1])
		}
	}
	other := [][2]string{{"10.0.0.1", "10.0.0.2"}, {"2001:db8::1", "2001:db8:0:1::1"}, {"0.0.0.0", "::"}, {"0.0.0.1", "::1"}}
	for _, pair := range other {
		if keyOf(addr(pair[0])) == keyOf(addr(pair[1])) {
			t.Errorf("%s and %s have the same key", pair[0], pair[1])
		}
	}
}
