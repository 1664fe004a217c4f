package transport

// Name is how a client speaks, as docs/protocol.md section 1 calls it.
type Name string

// The transports. The second of each pair is the first over TLS.
const (
	TCP   Name = "tcp"
	TLS   Name = "tls"
	WS    Name = "ws"
	WSS   Name = "wss"
	Poll  Name = "poll"
	Polls Name = "polls"
	SSE   Name = "sse"
	SSEs  Name = "sses"
)

// Names are the transports that a listener may be given.
var Names = []Name{TCP, TLS, WS, WSS, Poll, Polls, SSE, SSEs}

// set is a set of transports.
type set uint8

func (n Name) bit() set {
	for i, name := range Names {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

func setOf(names []Name) (s set) {
	for _, n := range names {
		s |= n.bit()
	}
	return s
}

func (s set) has(n Name) bool { return s&n.bit() != 0 }

// setPlain and setSecure are all transports without and with TLS.
var (
	setPlain  = setOf([]Name{TCP, WS, Poll, SSE})
	setSecure = setOf([]Name{TLS, WSS, Polls, SSEs})
)

// over is the transport of a connection that is encrypted or not.
func (n Name) over(secure bool) Name {
	if !secure {
		return n
	}
	switch n {
	case TCP:
		return TLS
	case WS:
		return WSS
	case Poll:
		return Polls
	case SSE:
		return SSEs
	default:
		return n
	}
}
