package wire

import (
	"maps"
	"slices"
)

// Hello is what a client says of itself in its first frame. All of it is the
// client's word.
type Hello struct {
	// Protocol is the version the client speaks: ProtocolVersion.
	Protocol int
	// Ticket is the scheduler's permission; empty when there is none. At most
	// TicketBytesMax.
	Ticket string
	// Token is the application's credential, which the backend judges. At most
	// TokenBytesMax. An absent one is judged as an empty one; only a resume
	// that fails asks HasToken, since without a token it cannot become a fresh
	// session.
	Token    string
	HasToken bool
	// Device is nil when the client told nothing of it.
	Device *Device
	// Attrs reach the backend as the client's word. At most AttrsMax, of
	// AttrsBytesMax together.
	Attrs map[string]string
	// Resume is set when the client wants a session back.
	Resume *Resume
}

// Device describes a client's device. Each text is at most DeviceTextBytesMax;
// empty means not told.
type Device struct {
	ID      string // stable for an installation
	Class   string // one of DeviceClasses
	Model   string
	OS      string
	App     string
	Version string // of the application
}

// Resume names the session that a client wants back.
type Resume struct {
	Session string
	Secret  string
	Seq     uint64 // of the last push received, 0 for none
}

// DeviceClasses lists what Device.Class may be besides empty.
func DeviceClasses() []string { return slices.Clone(deviceClasses) }

var deviceClasses = []string{"ios", "android", "web", "pc", "mini", "other"}

const (
	helloProtocol = iota
	helloTicket
	helloToken
	helloDevice
	helloAttrs
	helloResume
	helloMembers
)

var helloNames = []string{"protocol", "ticket", "token", "device", "attrs", "resume"}

// ParseHello decodes the object of a HELLO. The version is judged before the
// other members, whose form another version may change: anything
// but ProtocolVersion, an absent one included, is refused with 4508, everything
// else with 4500. Unknown members are ignored.
func ParseHello(payload []byte) (Hello, error) {
	var raw [helloMembers][]byte
	if err := collect("hello", payload, helloNames, raw[:]); err != nil {
		return Hello{}, err
	}
	if err := checkVersion(raw[helloProtocol]); err != nil {
		return Hello{}, err
	}
	v := values{where: "hello"}
	h := Hello{
		Protocol: ProtocolVersion,
		Ticket:   v.optText("ticket", raw[helloTicket], TicketBytesMax),
		Token:    v.optText("token", raw[helloToken], TokenBytesMax),
		HasToken: present(raw[helloToken]),
		Device:   parseDevice(&v, raw[helloDevice]),
		Attrs:    v.textMap("attrs", raw[helloAttrs], AttrsMax, AttrsBytesMax),
		Resume:   parseResume(&v, raw[helloResume]),
	}
	if v.err != nil {
		return Hello{}, v.err
	}
	return h, nil
}

// checkVersion judges HELLO's member protocol.
func checkVersion(raw []byte) error {
	if n, ok := parseUint(raw); ok && n == ProtocolVersion {
		return nil
	}
	refusal := refusef("hello protocol: want the integer %d", ProtocolVersion)
	refusal.Code = CloseUnsupportedVersion
	return refusal
}

var deviceNames = []string{"id", "class", "model", "os", "app", "version"}

func parseDevice(v *values, b []byte) *Device {
	if !present(b) || v.err != nil {
		return nil
	}
	var raw [6][]byte
	if v.err = collect("hello device", b, deviceNames, raw[:]); v.err != nil {
		return nil
	}
	d := &Device{}
	for i, text := range []*string{&d.ID, &d.Class, &d.Model, &d.OS, &d.App, &d.Version} {
		*text = v.optText("device "+deviceNames[i], raw[i], DeviceTextBytesMax)
	}
	if d.Class != "" && !slices.Contains(deviceClasses, d.Class) {
		v.fail("device class: want one of ios, android, web, pc, mini, other")
	}
	return d
}

var resumeNames = []string{"session", "secret", "seq"}

func parseResume(v *values, b []byte) *Resume {
	if !present(b) || v.err != nil {
		return nil
	}
	var raw [3][]byte
	if v.err = collect("hello resume", b, resumeNames, raw[:]); v.err != nil {
		return nil
	}
	return &Resume{
		Session: v.text("resume session", raw[0], ResumeTextBytesMax),
		Secret:  v.text("resume secret", raw[1], ResumeTextBytesMax),
		Seq:     v.optUint("resume seq", raw[2], SeqMax),
	}
}

// AppendHello encodes h as the object of a HELLO and returns the extended dst.
// It refuses, with dst as it was, what ParseHello would refuse; attrs come in
// the order of their names. Protocol 0 stands for ProtocolVersion, and a Token
// that is not empty is sent whatever HasToken says.
func AppendHello(dst []byte, h *Hello) ([]byte, error) {
	protocol := uint64(ProtocolVersion)
	if h.Protocol != 0 {
		protocol = uint64(h.Protocol)
	}
	start := len(dst)
	o := openObject(dst)
	o.number("protocol", protocol)
	o.optText("ticket", h.Ticket)
	if h.HasToken || h.Token != "" {
		o.text("token", h.Token)
	}
	if h.Device != nil {
		o.object("device", func(o *objectWriter) { appendDevice(o, h.Device) })
	}
	o.optTexts("attrs", h.Attrs)
	if h.Resume != nil {
		o.object("resume", func(o *objectWriter) {
			o.text("session", h.Resume.Session)
			o.text("secret", h.Resume.Secret)
			o.number("seq", h.Resume.Seq)
		})
	}
	out := o.close()
	if _, err := ParseHello(out[start:]); err != nil { // once a login: the plainest check is good enough
		return dst, err
	}
	return out, nil
}

func appendDevice(o *objectWriter, d *Device) {
	for i, text := range []string{d.ID, d.Class, d.Model, d.OS, d.App, d.Version} {
		o.optText(deviceNames[i], text)
	}
}

// sortedNames makes encodings of maps repeatable.
func sortedNames(m map[string]string) []string {
	return slices.Sorted(maps.Keys(m))
}
