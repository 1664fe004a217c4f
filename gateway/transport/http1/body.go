package http1

import "net/http"

const (
	// chunkDigitsMax bounds the digits of a chunk's size, which may begin with zeros.
	chunkDigitsMax = 16
	// extensionBytesMax bounds what the chunks of one body carry besides their
	// contents. Nothing reads it, and nobody is known to send it.
	extensionBytesMax = 1 << 10
)

// body collects the body of one request as it comes.
type body struct {
	bytesMax int
	left     int // of the body, or of the chunk
	data     []byte
	chunked  bool
	at       chunkPart
	digits   int8
	ext      int16 // bytes of extensions so far
	trailer  lines
}

// chunkPart is the part of a chunked body that the next byte belongs to.
type chunkPart uint8

const (
	chunkSize chunkPart = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
)

// take takes bytes of b up to the end of the body, and all of b if that has not
// come yet. trailerMax bounds the trailer.
func (b *body) take(in []byte, trailerMax int) (n int, done bool, err *Error) {
	if !b.chunked {
		n = min(b.left, len(in))
		b.add(in[:n], len(b.data)+b.left)
		return n, b.left == 0, nil
	}
	for n < len(in) {
		switch b.at {
		case chunkData:
			k := min(b.left, len(in)-n)
			b.add(in[n:n+k], b.bytesMax)
			n += k
			if b.left == 0 {
				b.at = chunkDataCR
			}
		case chunkTrailer:
			k, done, err := b.trailer.scan(in[n:], trailerMax)
			return n + k, done, err
		default:
			if err := b.takeFraming(in[n]); err != nil {
				return 0, false, err
			}
			n++
		}
	}
	return n, false, nil
}

// takeFraming judges a byte that is neither contents nor trailer.
func (b *body) takeFraming(c byte) *Error {
	switch b.at {
	case chunkSize:
		return b.takeSize(c)
	case chunkExtension:
		return b.takeExtension(c)
	case chunkSizeLF:
		if c != '\n' {
			return refusef("chunk size: CR without LF behind it")
		}
		if b.at = chunkData; b.left == 0 { // the last chunk
			b.at = chunkTrailer
			b.trailer.name = true
		}
	case chunkDataCR:
		if c != '\r' {
			return refusef("chunk: longer than its size")
		}
		b.at = chunkDataLF
	case chunkDataLF:
		if c != '\n' {
			return refusef("chunk: CR without LF behind it")
		}
		b.at, b.digits = chunkSize, 0
	}
	return nil
}

// takeSize judges a byte of a chunk's size, which is refused as soon as its
// digits say more than there is room for.
func (b *body) takeSize(c byte) *Error {
	switch {
	case '0' <= c && c <= '9':
		return b.takeDigit(int(c - '0'))
	case 'a' <= c && c <= 'f':
		return b.takeDigit(int(c-'a') + 10)
	case 'A' <= c && c <= 'F':
		return b.takeDigit(int(c-'A') + 10)
	case b.digits == 0:
		return refusef("chunk size: no digit")
	case c == '\r':
		b.at = chunkSizeLF
	case c == ';':
		b.at = chunkExtension
	default:
		return refusef("chunk size: not a hexadecimal number")
	}
	return nil
}

func (b *body) takeDigit(d int) *Error {
	if b.digits++; b.digits > chunkDigitsMax {
		return refusef("chunk size: more than %d digits", chunkDigitsMax)
	}
	room := b.bytesMax - len(b.data)
	if b.left > (room-d)>>4 { // rounds down, below zero too
		return b.tooLarge()
	}
	b.left = b.left<<4 | d
	return nil
}

func (b *body) takeExtension(c byte) *Error {
	if c == '\r' {
		b.at = chunkSizeLF
		return nil
	}
	if c < ' ' && c != '\t' || c == 0x7f {
		return refusef("chunk extension: a control character")
	}
	if b.ext++; b.ext > extensionBytesMax {
		return refusef("chunk extensions: more than %d bytes", extensionBytesMax)
	}
	return nil
}

// add keeps contents. The room grows with what has come, to at most twice of it,
// whatever was declared, and never beyond most.
func (b *body) add(in []byte, most int) {
	b.left -= len(in)
	if len(in) == 0 {
		return
	}
	if need := len(b.data) + len(in); need > cap(b.data) {
		grown := make([]byte, len(b.data), min(max(need, 2*cap(b.data)), most))
		copy(grown, b.data)
		b.data = grown
	}
	b.data = append(b.data, in...)
}

// of says whose body is too long.
func (e *Error) of(r *Request) *Error {
	if e.Status == http.StatusRequestEntityTooLarge {
		r.Close = true
		e.Request = r
	}
	return e
}

func (b *body) tooLarge() *Error {
	return statusf(http.StatusRequestEntityTooLarge, "body: more than %d bytes", b.bytesMax)
}
