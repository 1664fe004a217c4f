package wire

// GoAway asks a client to leave for another gateway, or tells one that is
// refused when to come again.
type GoAway struct {
	// Code is why, as the CLOSE that follows will say.
	Code   CloseCode
	Reason string
	// DeadlineMS is when the gateway closes the connection in any case,
	// counted from now.
	DeadlineMS int64
	// ReconnectAfterMS is how long the client waits before it connects again;
	// 0 leaves it to the client's back-off.
	ReconnectAfterMS int64
	// Endpoints are where to go, in this order; none means ask the scheduler.
	Endpoints []Endpoint
	// Ticket is for those endpoints; empty when none is needed.
	Ticket string
}

// Endpoint is where a gateway is reached by one transport.
type Endpoint struct {
	Gateway   string // the gateway's name
	Transport string // tcp, tls, ws, wss, poll, polls, sse or sses
	Address   string // host:port
}

// The limits of a GOAWAY, which only a client meets.
const (
	goAwayTextBytesMax = 256
	goAwayEndpointsMax = 64
)

var (
	goAwayNames   = []string{"code", "reason", "deadline_ms", "reconnect_after_ms", "endpoints", "ticket"}
	endpointNames = []string{"gateway", "transport", "address"}
)

// ParseGoAway decodes the object of a GOAWAY. Only code must be there; unknown
// members are ignored. The error is a *ProtocolError with code 4500.
func ParseGoAway(payload []byte) (GoAway, error) {
	var raw [6][]byte
	if err := collect("goaway", payload, goAwayNames, raw[:]); err != nil {
		return GoAway{}, err
	}
	v := values{where: "goaway"}
	g := GoAway{
		Code:             CloseCode(v.uint("code", raw[0], 0, 1<<16-1)),
		Reason:           v.optText("reason", raw[1], goAwayTextBytesMax),
		DeadlineMS:       v.optMS("deadline_ms", raw[2]),
		ReconnectAfterMS: v.optMS("reconnect_after_ms", raw[3]),
		Endpoints:        parseEndpoints(&v, raw[4]),
		Ticket:           v.optText("ticket", raw[5], TicketBytesMax),
	}
	if v.err != nil {
		return GoAway{}, v.err
	}
	return g, nil
}

func parseEndpoints(v *values, b []byte) (out []Endpoint) {
	if !present(b) {
		return nil
	}
	if b[0] != '[' {
		v.fail("endpoints: want an array")
	}
	for i := skipSpace(b, 1); v.err == nil && b[i] != ']'; {
		end, _ := skipValue(b, i, JSONDepthMax) // scanned before: it is valid
		var raw [3][]byte
		if v.err = collect("goaway endpoint", b[i:end], endpointNames, raw[:]); v.err != nil {
			return nil
		}
		out = append(out, Endpoint{
			Gateway:   v.optText("endpoint gateway", raw[0], goAwayTextBytesMax),
			Transport: v.text("endpoint transport", raw[1], goAwayTextBytesMax),
			Address:   v.text("endpoint address", raw[2], goAwayTextBytesMax),
		})
		if len(out) > goAwayEndpointsMax {
			v.fail("endpoints: more than %d", goAwayEndpointsMax)
		}
		if i = skipSpace(b, end); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return out
}

// AppendGoAway encodes g as the object of a GOAWAY and returns the extended
// dst. An empty reason, no endpoints and an empty ticket are left out.
func AppendGoAway(dst []byte, g *GoAway) []byte {
	o := openObject(dst)
	o.number("code", uint64(g.Code))
	o.optText("reason", g.Reason)
	o.ms("deadline_ms", g.DeadlineMS)
	o.ms("reconnect_after_ms", g.ReconnectAfterMS)
	if len(g.Endpoints) > 0 {
		o.name("endpoints")
		for i, e := range g.Endpoints {
			o.dst = append(o.dst, "[,"[min(i, 1)])
			inner := openObject(o.dst)
			inner.text("gateway", e.Gateway)
			inner.text("transport", e.Transport)
			inner.text("address", e.Address)
			o.dst = inner.close()
		}
		o.dst = append(o.dst, ']')
	}
	o.optText("ticket", g.Ticket)
	return o.close()
}
