package slots

import "math/bits"

// Candidates lists the slots that take the users of slot x while it has failed:
// (x+p_1)%n, (x+p_2)%n, ... for a permutation p of 1..n-1 that hash, x and the
// incarnation of x's last holder draw. So one failed slot's users spread evenly
// over all others, every gateway finds the same substitutes in the same order, and
// each other slot comes exactly once.
//
// It is made by MakeCandidates, allocates nothing and finds each slot when it is
// asked for: the first one costs no more when there are thousands.
type Candidates struct {
	x, n   uint64
	seed   uint64
	next   uint64 // how many numbers were drawn, or enciphered
	left   uint64 // substitutes to come
	drawn  int    // of first
	cipher bool   // first is full: what follows comes from the cipher
	first  [drawnMax]uint32
}

// drawnMax is how many substitutes are drawn at random, each redrawn while it
// repeats an earlier one: exactly even, and one multiplication for the first. Nobody
// has that many instances down at once, but who does gets the rest from a cipher,
// since remembering them all would take memory.
const drawnMax = 12

// rounds of the cipher. Three make a permutation that cannot be told from a random
// one by watching it (Luby and Rackoff, 1988); the fourth covers blocks of few bits.
const rounds = 4

// MakeCandidates returns the substitutes of slot x among n for the user with hash.
// incarnation is of the process that held x last. Where x is not below n it has
// none.
func MakeCandidates(hash uint64, x, n int, incarnation int64) Candidates {
	if x < 0 || x >= n {
		return Candidates{}
	}
	return Candidates{
		x: uint64(x), n: uint64(n), left: uint64(n) - 1,
		seed: mix(hash ^ mix(mix(uint64(x)+golden)+uint64(incarnation))),
	}
}

// Next returns the next substitute, or false when all were returned.
func (c *Candidates) Next() (slot int, ok bool) {
	if c.left == 0 {
		return 0, false
	}
	c.left--
	slot = int(c.x + c.offset())
	if slot >= int(c.n) {
		slot -= int(c.n)
	}
	return slot, true
}

// offset returns the next p, in 1..n-1.
func (c *Candidates) offset() uint64 {
	if c.drawn == drawnMax {
		return c.enciphered()
	}
	for {
		p, _ := bits.Mul64(c.number(c.next), c.n-1) // even to 2^-48
		c.next++
		if p++; !c.returned(p) {
			c.first[c.drawn] = uint32(p)
			c.drawn++
			return p
		}
	}
}

// returned tells whether p was drawn.
func (c *Candidates) returned(p uint64) bool {
	for _, q := range c.first[:c.drawn] {
		if uint64(q) == p {
			return true
		}
	}
	return false
}

// enciphered returns what follows the drawn ones: 0, 1, 2, ... enciphered, without
// what was drawn and what lies outside 1..n-1.
func (c *Candidates) enciphered() uint64 {
	if !c.cipher {
		c.cipher, c.next = true, 0
	}
	half := uint(bits.Len64(c.n-2)+1) / 2 // the block is up to four times as large as needed
	for {
		p := c.encrypt(c.next, half) + 1
		c.next++
		if p < c.n && !c.returned(p) {
			return p
		}
	}
}

// encrypt is a balanced Feistel network over 2*half bits: a permutation.
func (c *Candidates) encrypt(v uint64, half uint) uint64 {
	mask := uint64(1)<<half - 1
	left, right := v>>half, v&mask
	for round := range uint64(rounds) {
		left, right = right, left^(mix(right+c.number(^round))&mask)
	}
	return left<<half | right
}

// number is the i-th random number of the seed.
func (c *Candidates) number(i uint64) uint64 { return mix(c.seed + i*golden) }

// golden is 2^64 divided by the golden ratio: multiples of it are far apart.
const golden = 0x9e3779b97f4a7c15

// mix is the finisher of splitmix64 (Steele, Lea and Flood, 2014): each bit of v
// changes half of the result's.
func mix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}
