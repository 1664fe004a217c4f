package proxyproto

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"unicode/utf8"
)

// The types of value that are read. Others are passed over, once their length
// has been judged.
const (
	tlvAuthority = 0x02
	tlvChecksum  = 0x03
	tlvUniqueID  = 0x05
)

// tlvHead is the size of a value's type and length.
const tlvHead = 3

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	// noChecksum stands in for the checksum while it is computed.
	noChecksum = make([]byte, crc32.Size)
)

// parseTLVs decodes the values that fill the header from begin on.
func (h *Header) parseTLVs(whole []byte, begin int) error {
	var seen [tlvUniqueID + 1]bool
	for at := begin; at < len(whole); {
		if len(whole)-at < tlvHead {
			return refusef("TLV: %d bytes left, its head has %d", len(whole)-at, tlvHead)
		}
		kind, length := whole[at], int(binary.BigEndian.Uint16(whole[at+1:]))
		at += tlvHead
		if length > len(whole)-at {
			return refusef("TLV 0x%02x: %d bytes of %d left", kind, length, len(whole)-at)
		}
		switch kind {
		case tlvAuthority, tlvChecksum, tlvUniqueID:
			if seen[kind] {
				return refusef("TLV 0x%02x: given more than once", kind)
			}
			seen[kind] = true
			if err := h.setTLV(kind, whole, at, at+length); err != nil {
				return err
			}
		}
		at += length
	}
	return nil
}

// setTLV takes the value at whole[begin:end].
func (h *Header) setTLV(kind byte, whole []byte, begin, end int) error {
	value := whole[begin:end]
	switch kind {
	case tlvAuthority:
		if len(value) > AuthorityBytesMax || !utf8.Valid(value) {
			return refusef("TLV 0x%02x (authority): %d bytes, want at most %d of UTF-8", kind, len(value), AuthorityBytesMax)
		}
		h.Authority = string(value)
	case tlvUniqueID:
		if len(value) > UniqueIDBytesMax {
			return refusef("TLV 0x%02x (unique id): %d bytes, at most %d", kind, len(value), UniqueIDBytesMax)
		}
		h.UniqueID = bytes.Clone(value)
	case tlvChecksum:
		if len(value) != crc32.Size {
			return refusef("TLV 0x%02x (CRC32c): %d bytes, want %d", kind, len(value), crc32.Size)
		}
		if checksum(whole, begin) != binary.BigEndian.Uint32(value) {
			return refusef("TLV 0x%02x (CRC32c): does not fit the header", kind)
		}
	}
	return nil
}

// checksum is the header's, with the checksum's own bytes, at position at, as zeros.
func checksum(whole []byte, at int) uint32 {
	sum := crc32.Checksum(whole[:at], castagnoli)
	sum = crc32.Update(sum, castagnoli, noChecksum)
	return crc32.Update(sum, castagnoli, whole[at+crc32.Size:])
}
