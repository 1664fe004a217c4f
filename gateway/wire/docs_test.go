package wire

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The tests of this file hold docs/protocol.md to the code: its tables, its
// examples and its conversation.

func readProtocol(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tableRows returns the cells of every table row of one section.
func tableRows(t *testing.T, section int) (rows [][]string) {
	t.Helper()
	doc := readProtocol(t)
	start := strings.Index(doc, fmt.Sprintf("\n## %d. ", section))
	if start < 0 {
		t.Fatalf("docs/protocol.md has no section %d", section)
	}
	text := doc[start+4:]
	if end := strings.Index(text, "\n## "); end >= 0 {
		text = text[:end]
	}
	for line := range strings.Lines(text) {
		if cells := strings.Split(strings.TrimSpace(line), " | "); strings.HasPrefix(line, "| ") && len(cells) > 1 {
			cells[0] = strings.TrimPrefix(cells[0], "| ")
			last := len(cells) - 1
			cells[last] = strings.TrimSuffix(cells[last], " |")
			rows = append(rows, cells)
		}
	}
	return rows
}

// documentedReactions translates the third column of section 5.
var documentedReactions = map[string]Reaction{
	"nothing":                                ReactionNone,
	"reconnects where GOAWAY said":           ReactionFollow,
	"resumes":                                ReactionResume,
	"resumes; when that fails, synchronises": ReactionResumeOrSync,
	"resumes or reconnects":                  ReactionResumeOrReconnect,
	"sends a fresh HELLO":                    ReactionFresh,
	"reconnects after back-off":              ReactionBackoff,
	"asks the scheduler again":               ReactionScheduler,
	"stops":                                  ReactionStop,
	"stops until there is a new token":       ReactionNewToken,
	"stops until the user acts":              ReactionUser,
}

func TestDocumentedCloseCodes(t *testing.T) {
	var documented []CloseCode
	for _, row := range tableRows(t, 5) {
		n, err := strconv.Atoi(row[0])
		if err != nil {
			continue // the heading
		}
		code := CloseCode(n)
		documented = append(documented, code)
		reaction, known := documentedReactions[strings.Split(row[2], ":")[0]]
		if !known || code.String() != row[1] || code.Reconnect() != reaction {
			t.Errorf("%d: the code says %v, %v; the document %s, %s", code, code, code.Reconnect(), row[1], row[2])
		}
	}
	if got, want := fmt.Sprint(documented), fmt.Sprint(CloseCodes()); got != want {
		t.Errorf("documented codes %s, want %s", got, want)
	}
}

func TestDocumentedHTTPStatuses(t *testing.T) {
	documented := 0
	for _, row := range tableRows(t, 6) {
		status, err := strconv.Atoi(row[0])
		if err != nil {
			continue
		}
		for _, s := range regexp.MustCompile(`\b4[05]\d\d\b`).FindAllString(row[1], -1) {
			code, _ := strconv.Atoi(s) // digits, by the pattern
			documented++
			if got := CloseCode(code).HTTPStatus(); got != status {
				t.Errorf("CloseCode(%d).HTTPStatus() = %d, the document says %d", code, got, status)
			}
		}
	}
	if documented != 14 {
		t.Errorf("%d codes have a documented HTTP status, want 14", documented)
	}
}

func TestDocumentedTypes(t *testing.T) {
	documented := 0
	for _, row := range tableRows(t, 2) {
		n, err := strconv.ParseUint(row[0], 0, 8)
		if err != nil || len(row) != 4 {
			continue
		}
		documented++
		typ := Type(n)
		from := map[[2]bool]string{{true, false}: "client", {false, true}: "gateway", {true, true}: "either"}
		sides := from[[2]bool{typ.SentBy(FromClient), typ.SentBy(FromGateway)}]
		if strings.ToUpper(typ.String()) != row[1] || sides != row[2] {
			t.Errorf("0x%02x: the code says %v from %s; the document %s from %s", n, typ, sides, row[1], row[2])
		}
	}
	if documented != int(TypeClose) {
		t.Errorf("%d types are documented, want %d", documented, TypeClose)
	}
}

func TestDocumentedStatuses(t *testing.T) {
	doc := readProtocol(t)
	for s := StatusOK; s <= StatusMax; s++ {
		if !regexp.MustCompile(fmt.Sprintf(`\b%d %s\b`, s, s)).MatchString(doc) {
			t.Errorf("the document does not name %d %s", s, s)
		}
	}
}

func TestDocumentedLimits(t *testing.T) {
	limits := []uint64{
		FrameBytesMax, CommandBytesMax, ReasonBytesMax, PingBytesMax, SeqMax, TicketBytesMax, TokenBytesMax, AttrsMax,
		AttrsBytesMax, DeviceTextBytesMax, ResumeTextBytesMax, JSONDepthMax, WindowMax, DurationMSMax, TimeMSMax,
	}
	rows := tableRows(t, 7)[1:]
	if len(rows) != len(limits) {
		t.Fatalf("%d limits are documented, want %d", len(rows), len(limits))
	}
	for i, row := range rows {
		if got := strings.TrimSuffix(row[1], " bytes"); got != strconv.FormatUint(limits[i], 10) {
			t.Errorf("%s: the document says %s, the code %d", row[0], got, limits[i])
		}
	}
}

// block returns the fenced block of the document with this language.
func block(t *testing.T, language string) string {
	t.Helper()
	doc := readProtocol(t)
	_, text, ok := strings.Cut(doc, "\n```"+language+"\n")
	text, _, closed := strings.Cut(text, "\n```\n")
	if !ok || !closed {
		t.Fatalf("docs/protocol.md has no block %q", language)
	}
	return text
}

func TestDocumentedObjects(t *testing.T) {
	if h, err := ParseHello([]byte(block(t, "json hello"))); err != nil || h.Resume.Seq != 41 || h.Device.Version != "5.2.0" {
		t.Errorf("the documented HELLO: %+v, %v", h, err)
	}
	if w, err := ParseWelcome([]byte(block(t, "json welcome"))); err != nil || w.TimeMS != 1790000000000 || w.Window != 64 {
		t.Errorf("the documented WELCOME: %+v, %v", w, err)
	}
	if g, err := ParseGoAway([]byte(block(t, "json goaway"))); err != nil || g.Code != CloseDraining || len(g.Endpoints) != 1 {
		t.Errorf("the documented GOAWAY: %+v, %v", g, err)
	}
}

// TestDocumentedConversation reads section 8: each frame in hexadecimal is the
// frame in JSON below it.
func TestDocumentedConversation(t *testing.T) {
	var stream []byte
	from, frames := FromClient, 0
	for line := range strings.Lines(block(t, "conversation") + "\n") {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "> "), strings.HasPrefix(line, "< "):
			from = map[byte]Side{'>': FromClient, '<': FromGateway}[line[0]]
			stream = documentedBytes(t, line[2:])
		case strings.HasPrefix(line, "  {"):
			frames++
			checkConversation(t, stream, from, line[2:])
		default:
			stream = append(stream, documentedBytes(t, line)...)
		}
	}
	if frames != 11 {
		t.Errorf("%d frames in the conversation, want 11", frames)
	}
}

func checkConversation(t *testing.T, stream []byte, from Side, want string) {
	t.Helper()
	f, size, err := ParseStream(stream, 65536, from)
	if err != nil || size != len(stream) {
		t.Errorf("%s: %d of %d bytes (length %d), %v", want, size, len(stream), binary.BigEndian.Uint32(stream), err)
		return
	}
	if got, err := AppendJSON(nil, &f); err != nil || string(got) != want {
		t.Errorf("%x is %s, %v, the document says %s", stream, got, err, want)
	}
	if again, err := AppendStream(nil, &f); err != nil || string(again) != string(stream) {
		t.Errorf("%s encodes as %x, %v, the document says %x", want, again, err, stream)
	}
}

// documentedBytes reads hexadecimal with text in single quotes between.
func documentedBytes(t *testing.T, s string) (out []byte) {
	t.Helper()
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		out = append(out, b...)
	}
	return out
}
