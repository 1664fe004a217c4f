package wire

// The members of JSON frames, and where collect puts them.
const (
	atType = iota
	atID
	atSeq
	atCommand
	atPayload
	atPayloadBase64
	atStatus
	atGateway
	atData
	atCode
	atReason
	frameMembers
)

var frameNames = []string{
	atType: "type", atID: "id", atSeq: "seq", atCommand: "command",
	atPayload: "payload", atPayloadBase64: "payload_base64",
	atStatus: "status", atGateway: "gateway", atData: "data",
	atCode: "code", atReason: "reason",
}

// formMembers says which members a frame has by its type. Others are ignored,
// though another type may have them.
var formMembers = [...]nameSet{
	TypeHello:   1 << atType,
	TypeWelcome: 1 << atType,
	TypeRequest: 1<<atType | 1<<atID | 1<<atCommand | 1<<atPayload | 1<<atPayloadBase64,
	TypeReply:   1<<atType | 1<<atID | 1<<atStatus | 1<<atGateway | 1<<atPayload | 1<<atPayloadBase64,
	TypePush:    1<<atType | 1<<atSeq | 1<<atCommand | 1<<atPayload | 1<<atPayloadBase64,
	TypeAck:     1<<atType | 1<<atSeq,
	TypePing:    1<<atType | 1<<atData,
	TypePong:    1<<atType | 1<<atData,
	TypeGoAway:  1 << atType,
	TypeClose:   1<<atType | 1<<atCode | 1<<atReason,
}

// ParseJSON decodes one JSON frame. The frame's slices alias b, but for a
// string with escapes and for base64. In HELLO, WELCOME and GOAWAY the Payload is
// the whole object, its type included. The error is a *ProtocolError with code
// 4500. The caller has held b to max_frame.
func ParseJSON(b []byte, from Side) (Frame, error) {
	return parseJSON(b, from, 0)
}

// ParseJSONHello is ParseJSON for the one place where the type may be absent:
// the body that opens a long-poll session. It refuses every frame but HELLO.
func ParseJSONHello(b []byte) (Frame, error) {
	f, err := parseJSON(b, FromClient, TypeHello)
	if err == nil && f.Type != TypeHello {
		return Frame{}, refusef("type: %s, want hello", f.Type)
	}
	return f, err
}

// parseJSON decodes one JSON frame; without a member type it is of type
// absent, or refused when that is 0.
func parseJSON(b []byte, from Side, absent Type) (Frame, error) {
	var raw [frameMembers][]byte
	repeats, err := collectAll("frame", b, frameNames, raw[:])
	if err != nil {
		return Frame{}, err
	}
	t := absent
	if raw[atType] != nil || absent == 0 {
		if t, err = parseType(raw[atType]); err != nil {
			return Frame{}, err
		}
	}
	if !t.SentBy(from) {
		return Frame{}, refusef("type: %s is sent by the %s only", t, from.other())
	}
	if err := (repeats & formMembers[t]).refuse(t.String(), frameNames); err != nil {
		return Frame{}, err
	}
	f, err := assemble(t, b, &raw)
	if err != nil {
		return Frame{}, err
	}
	if err := f.check(); err != nil {
		return Frame{}, err
	}
	return f, nil
}

// parseType finds the type that a frame names.
func parseType(raw []byte) (Type, error) {
	if len(raw) < 2 || raw[0] != '"' {
		return 0, refusef("type: want a string")
	}
	for t := TypeHello; t <= TypeClose; t++ {
		if isName(raw, t) {
			return t, nil
		}
	}
	return 0, refusef("type: not the name of a frame")
}

// assemble decodes the members that belong to a frame of type t.
func assemble(t Type, b []byte, raw *[frameMembers][]byte) (Frame, error) {
	f := Frame{Type: t}
	v := values{where: t.String()}
	switch t {
	case TypeRequest, TypeReply, TypePush:
		f.Payload = v.payload(raw[atPayload], raw[atPayloadBase64])
	case TypePing, TypePong:
		f.Payload = v.optBase64("data", raw[atData])
	case TypeHello, TypeWelcome, TypeGoAway:
		start := skipSpace(b, 0)
		f.Payload = trimSpaceRight(b[start:])
	}
	switch t {
	case TypeRequest, TypePush:
		f.Command = v.bytes("command", raw[atCommand], 1, CommandBytesMax)
	case TypeReply:
		f.Status = Status(v.uint("status", raw[atStatus], 0, uint64(StatusMax)))
		if v.optBool("gateway", raw[atGateway]) {
			f.Flags = FlagOriginGateway
		}
	case TypeClose:
		f.Code = CloseCode(v.uint("code", raw[atCode], 0, 1<<16-1))
		f.Reason = v.optBytes("reason", raw[atReason], ReasonBytesMax)
	}
	switch t {
	case TypeRequest, TypeReply:
		f.ID = uint32(v.uint("id", raw[atID], 1, 1<<32-1))
	case TypePush, TypeAck:
		f.Seq = v.uint("seq", raw[atSeq], 0, SeqMax)
	}
	return f, v.err
}

// payload decodes a payload in either of its two forms; absent it is nil.
func (v *values) payload(raw, rawBase64 []byte) []byte {
	if raw != nil && present(rawBase64) {
		v.fail("payload: both payload and payload_base64")
		return nil
	}
	if raw != nil {
		return raw
	}
	return v.optBase64("payload_base64", rawBase64)
}

// trimSpaceRight drops the JSON white space at the end of b.
func trimSpaceRight(b []byte) []byte {
	n := len(b)
	for n > 0 && skipSpace(b[n-1:n], 0) == 1 {
		n--
	}
	return b[:n:n]
}

// ParseJSONArray decodes an array of frames, as long poll carries them, and
// appends them to dst. One bad frame refuses the whole array, before any of it
// is acted on. The frames' slices alias b as ParseJSON's do. Memory is bounded
// by b: a frame takes at least 19 bytes of it.
func ParseJSONArray(dst []Frame, b []byte, from Side) ([]Frame, error) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return dst, refusef("frames: not a JSON array")
	}
	out := dst
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return dst, arrayEnd(b, i)
	}
	for {
		end, bad := skipValue(b, i, JSONDepthMax+1)
		if bad == faultDepth {
			return dst, refusef("frames: JSON nests deeper than %d at byte %d", JSONDepthMax, end)
		}
		if bad != faultNone {
			return dst, refusef("frames: not valid JSON at byte %d", end)
		}
		f, err := ParseJSON(b[i:end], from)
		if err != nil {
			return dst, err
		}
		out = append(out, f)
		i = skipSpace(b, end)
		switch {
		case i < len(b) && b[i] == ']':
			if err := arrayEnd(b, i); err != nil {
				return dst, err
			}
			return out, nil
		case i >= len(b) || b[i] != ',':
			return dst, refusef("frames: not valid JSON at byte %d", i)
		}
		i = skipSpace(b, i+1)
	}
}

// arrayEnd judges what follows the bracket b[i].
func arrayEnd(b []byte, i int) error {
	if i = skipSpace(b, i+1); i != len(b) {
		return refusef("frames: something follows the JSON array at byte %d", i)
	}
	return nil
}
