package wire

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// The form of testdata/vectors.json; testdata/README.md describes it for the
// authors of other SDKs. Bytes are hexadecimal. A seq is a decimal string, as
// it may exceed what a double holds.

type vectorFile struct {
	About      string          `json:"about"`
	Protocol   int             `json:"protocol"`
	Frames     []frameRow      `json:"frames"`
	Refusals   []refusalRow    `json:"refusals"`
	Streams    []streamRow     `json:"streams"`
	Arrays     []arrayRow      `json:"arrays"`
	Hellos     []helloRow      `json:"hellos"`
	Welcomes   []welcomeRow    `json:"welcomes"`
	GoAways    []goAwayRow     `json:"goaways"`
	Errors     []errorRow      `json:"errors"`
	Commands   []commandRow    `json:"commands"`
	CloseCodes []closeCodeRow  `json:"close_codes"`
	Statuses   []statusRow     `json:"statuses"`
	Types      map[string]byte `json:"types"`
}

// jsonText is a JSON text: as itself, or in hexadecimal when it is not UTF-8.
type jsonText struct {
	JSON    string `json:"json,omitempty"`
	JSONHex string `json:"json_hex,omitempty"`
}

func asJSONText(s string) jsonText {
	if utf8.ValidString(s) {
		return jsonText{JSON: s}
	}
	return jsonText{JSONHex: hex.EncodeToString([]byte(s))}
}

func (t jsonText) bytes() []byte {
	if t.JSONHex != "" {
		return unhex(t.JSONHex)
	}
	return []byte(t.JSON)
}

// The kinds of frameRow.
const (
	kindBoth   = "both"   // both forms decode to the frame, which encodes to both
	kindBinary = "binary" // the binary form both ways; the frame encodes to the JSON form
	kindJSON   = "json"   // the JSON form decodes to the frame, and encodes differently
)

type frameRow struct {
	Name   string    `json:"name"`
	Kind   string    `json:"kind"`
	From   string    `json:"from"`
	Frame  plainForm `json:"frame"`
	Binary string    `json:"binary,omitempty"`
	jsonText
}

// plainForm is a decoded frame. Only the fields of its type are there.
type plainForm struct {
	Type    string  `json:"type"`
	ID      *uint32 `json:"id,omitempty"`
	Seq     *string `json:"seq,omitempty"`
	Command *string `json:"command,omitempty"`
	Status  *uint8  `json:"status,omitempty"`
	Gateway *bool   `json:"gateway,omitempty"`
	Payload *string `json:"payload,omitempty"` // hexadecimal
	Code    *uint16 `json:"code,omitempty"`
	Reason  *string `json:"reason,omitempty"`
}

func plain(f *Frame) plainForm {
	p := plainForm{Type: f.Type.String()}
	payload := hex.EncodeToString(f.Payload)
	command, seq := string(f.Command), strconv.FormatUint(f.Seq, 10)
	switch f.Type {
	case TypeRequest:
		p.ID, p.Command, p.Payload = &f.ID, &command, &payload
	case TypeReply:
		status, gateway := uint8(f.Status), f.Flags.FromGateway()
		p.ID, p.Status, p.Gateway, p.Payload = &f.ID, &status, &gateway, &payload
	case TypePush:
		p.Seq, p.Command, p.Payload = &seq, &command, &payload
	case TypeAck:
		p.Seq = &seq
	case TypeClose:
		code, reason := uint16(f.Code), string(f.Reason)
		p.Code, p.Reason = &code, &reason
	default:
		p.Payload = &payload
	}
	return p
}

// frame is the inverse of plain, for a row that was read from the file.
func (p plainForm) frame() Frame {
	f := Frame{Type: typeNamed(p.Type)}
	if p.ID != nil {
		f.ID = *p.ID
	}
	if p.Seq != nil {
		f.Seq, _ = strconv.ParseUint(*p.Seq, 10, 64)
	}
	if p.Command != nil {
		f.Command = []byte(*p.Command)
	}
	if p.Status != nil {
		f.Status = Status(*p.Status)
	}
	if p.Gateway != nil && *p.Gateway {
		f.Flags = FlagOriginGateway
	}
	if p.Payload != nil {
		f.Payload = unhex(*p.Payload)
	}
	if p.Code != nil {
		f.Code = CloseCode(*p.Code)
	}
	if p.Reason != nil {
		f.Reason = []byte(*p.Reason)
	}
	return f
}

type refusalRow struct {
	Name   string    `json:"name"`
	From   string    `json:"from"`
	Code   CloseCode `json:"code"`
	About  string    `json:"about"`
	Binary string    `json:"binary,omitempty"`
	jsonText
}

type streamRow struct {
	Name      string      `json:"name"`
	From      string      `json:"from"`
	MaxFrame  int         `json:"max_frame"`
	Bytes     string      `json:"bytes"`
	Frames    []plainForm `json:"frames"`
	Code      CloseCode   `json:"code,omitempty"`
	RefusedAt int         `json:"refused_at,omitempty"`
}

type arrayRow struct {
	Name   string      `json:"name"`
	From   string      `json:"from"`
	Frames []plainForm `json:"frames"`
	Code   CloseCode   `json:"code,omitempty"`
	jsonText
}

type commandRow struct {
	Command string `json:"command"` // hexadecimal
	Valid   bool   `json:"valid"`
}

type closeCodeRow struct {
	Code        CloseCode `json:"code"`
	Name        string    `json:"name"`
	Reaction    string    `json:"reaction"`
	ComesBack   bool      `json:"comes_back"`
	Resumes     bool      `json:"resumes"`
	EndsSession bool      `json:"ends_session"`
	HTTPStatus  int       `json:"http_status"`
}

// statusRow says what a status means when the gateway made the reply; from a
// backend none of the three holds.
type statusRow struct {
	Status     uint8  `json:"status"`
	Name       string `json:"name"`
	NotRun     bool   `json:"gateway_not_run"`
	MayRetry   bool   `json:"gateway_may_retry"`
	MayHaveRun bool   `json:"gateway_may_have_run"`
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(fmt.Sprintf("vectors: %q: %v", s, err))
	}
	return b
}

func typeNamed(name string) Type {
	for t := TypeHello; t <= TypeClose; t++ {
		if t.String() == name {
			return t
		}
	}
	panic("vectors: no frame type " + name)
}

func sideNamed(name string) Side {
	if name == FromClient.String() {
		return FromClient
	}
	return FromGateway
}
