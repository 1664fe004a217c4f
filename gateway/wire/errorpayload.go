package wire

// ErrorPayload is the payload of a REPLY that the gateway made itself
// (FlagOriginGateway).
type ErrorPayload struct {
	Message string // for people
	Reason  string // for programs: a word from a closed set, such as no_route
	// RetryAfterMS is when the request may be sent again; 0 = absent. It is
	// never set with a status that MayHaveRun.
	RetryAfterMS int64
}

var errorNames = []string{"message", "reason", "retry_after_ms"}

// errorTextBytesMax bounds what a client believes of an error's texts.
const errorTextBytesMax = 4096

// ParseErrorPayload decodes the payload of a reply that the gateway made. All
// members may be absent; unknown ones are ignored. The error is a
// *ProtocolError with code 4500.
func ParseErrorPayload(payload []byte) (ErrorPayload, error) {
	var raw [3][]byte
	if err := collect("error", payload, errorNames, raw[:]); err != nil {
		return ErrorPayload{}, err
	}
	v := values{where: "error"}
	e := ErrorPayload{
		Message:      v.optText("message", raw[0], errorTextBytesMax),
		Reason:       v.optText("reason", raw[1], errorTextBytesMax),
		RetryAfterMS: v.optMS("retry_after_ms", raw[2]),
	}
	if v.err != nil {
		return ErrorPayload{}, v.err
	}
	return e, nil
}

// AppendErrorPayload encodes e and returns the extended dst.
func AppendErrorPayload(dst []byte, e *ErrorPayload) []byte {
	o := objectWriter{dst: append(dst, '{')}
	o.text("message", e.Message)
	o.text("reason", e.Reason)
	o.optMS("retry_after_ms", e.RetryAfterMS)
	return o.close()
}
