package wire

// Encoding is how a connection's frames are written.
type Encoding uint8

// The encodings.
const (
	Stream Encoding = iota // binary with a length before each frame: tcp, tls
	Binary                 // binary: ws, wss with subprotocol holdfast.v1
	JSON                   // ws, wss with holdfast.v1.json; poll; sse
)

// String is the encoding's name.
func (e Encoding) String() string {
	switch e {
	case Stream:
		return "stream"
	case Binary:
		return "binary"
	case JSON:
		return "json"
	default:
		return "unknown"
	}
}

// Append encodes f in this encoding and returns the extended dst. It refuses,
// with dst as it was, what the peer would refuse.
func (e Encoding) Append(dst []byte, f *Frame) ([]byte, error) {
	switch e {
	case Stream:
		return AppendStream(dst, f)
	case Binary:
		return Append(dst, f)
	default:
		return AppendJSON(dst, f)
	}
}
