package load

import "encoding/binary"

// edgeBytes is how much of either end of a payload is stamped and checked.
// Comparing whole payloads would cost the loader more than the echo costs a
// server; swapped, torn and cut answers show at the ends.
const edgeBytes = 8

// stamp marks b as the payload of one request, so that no two requests of a
// run have the same ends. The middle stays as it is.
func stamp(b []byte, conn int, id uint32) {
	head, tail := edges(conn, id)
	if len(b) >= 2*edgeBytes {
		binary.BigEndian.PutUint64(b, head)
		binary.BigEndian.PutUint64(b[len(b)-edgeBytes:], tail)
		return
	}
	for i := range b {
		b[i] = shortByte(head, tail, i)
	}
}

// stamped tells whether b, of length size, came from stamp with the same
// arguments.
func stamped(b []byte, size, conn int, id uint32) bool {
	if len(b) != size {
		return false
	}
	head, tail := edges(conn, id)
	if size >= 2*edgeBytes {
		return binary.BigEndian.Uint64(b) == head && binary.BigEndian.Uint64(b[size-edgeBytes:]) == tail
	}
	for i := range b {
		if b[i] != shortByte(head, tail, i) {
			return false
		}
	}
	return true
}

// edges mixes connection and id (splitmix64) so that neighbours differ in
// every byte.
func edges(conn int, id uint32) (head, tail uint64) {
	head = mix(uint64(conn)<<32 | uint64(id))
	return head, mix(head)
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// shortByte is byte i of a payload too short for two separate ends.
func shortByte(head, tail uint64, i int) byte {
	if i < edgeBytes {
		return byte(head >> (8 * i))
	}
	return byte(tail >> (8 * (i - edgeBytes)))
}
