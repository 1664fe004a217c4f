package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors.json from its source")

const vectorsPath = "testdata/vectors.json"

// TestVectorsAreCurrent holds vectors.json to its source; with -update it
// writes the file.
func TestVectorsAreCurrent(t *testing.T) {
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(generate()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(vectorsPath, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s differs from its source; run: go test ./gateway/wire -run TestVectors -update", vectorsPath)
	}
}

func generate() vectorFile {
	v := vectorFile{
		About:    "Test vectors of docs/protocol.md; testdata/README.md says how to use them. Generated: do not edit.",
		Protocol: ProtocolVersion,
		Types:    map[string]byte{},
	}
	for t := TypeHello; t <= TypeClose; t++ {
		v.Types[t.String()] = byte(t)
	}
	generateFrames(&v)
	generateObjects(&v)
	for _, valid := range []bool{true, false} {
		for _, c := range commandVectors[valid] {
			v.Commands = append(v.Commands, commandRow{hex.EncodeToString([]byte(c)), valid})
		}
	}
	for _, code := range append(CloseCodes(), 0, 999, 1001, 1006, 3999, 4012, 4499, 4505, 4509, 4999, 5000, 65535) {
		r := code.Reconnect()
		v.CloseCodes = append(v.CloseCodes, closeCodeRow{
			code, code.String(), r.String(), r.ComesBack(), r.Resumes(), code.EndsSession(), code.HTTPStatus(),
		})
	}
	for s := StatusOK; s <= StatusMax; s++ {
		f := FlagOriginGateway
		v.Statuses = append(v.Statuses, statusRow{uint8(s), s.String(), s.NotRun(f), s.MayRetry(f), s.MayHaveRun(f)})
	}
	return v
}

func generateFrames(v *vectorFile) {
	for _, group := range []struct {
		kind string
		rows []frameVector
	}{{kindBoth, frameVectors}, {kindBinary, binaryVectors}, {kindJSON, jsonVectors}} {
		for _, r := range group.rows {
			v.Frames = append(v.Frames, frameRow{r.name, group.kind, r.from.String(), plain(&r.frame),
				hex.EncodeToString([]byte(r.binary)), asJSONText(r.json)})
		}
	}
	for _, r := range refusalVectors {
		v.Refusals = append(v.Refusals, refusalRow{r.name, r.from.String(), CloseProtocolError, r.about,
			hex.EncodeToString([]byte(r.binary)), asJSONText(r.json)})
	}
	for _, r := range streamVectors {
		v.Streams = append(v.Streams, streamRow{r.name, r.from.String(), r.maxFrame,
			hex.EncodeToString([]byte(r.bytes)), plainAll(r.frames), r.code, r.refusedAt})
	}
	for _, r := range arrayVectors {
		row := arrayRow{r.name, r.from.String(), plainAll(r.frames), 0, asJSONText(r.json)}
		if r.frames == nil {
			row.Code = CloseProtocolError
		}
		v.Arrays = append(v.Arrays, row)
	}
}

func plainAll(frames []Frame) []plainForm {
	out := []plainForm{}
	for _, f := range frames {
		out = append(out, plain(&f))
	}
	return out
}

func generateObjects(v *vectorFile) {
	for _, r := range helloVectors {
		row := helloRow{r.name, nil, r.code, asJSONText(r.json)}
		if r.code == 0 {
			row.Hello = plainOfHello(r.want)
		}
		v.Hellos = append(v.Hellos, row)
	}
	for _, r := range welcomeVectors {
		row := welcomeRow{r.name, nil, CloseProtocolError, asJSONText(r.json)}
		if !r.refused {
			row.Welcome, row.Code = (*plainWelcome)(&r.want), 0
		}
		v.Welcomes = append(v.Welcomes, row)
	}
	for _, r := range goAwayVectors {
		row := goAwayRow{r.name, nil, CloseProtocolError, asJSONText(r.json)}
		if !r.refused {
			row.GoAway, row.Code = plainOfGoAway(r.want), 0
		}
		v.GoAways = append(v.GoAways, row)
	}
	for _, r := range errorVectors {
		row := errorRow{r.name, nil, CloseProtocolError, asJSONText(r.json)}
		if !r.refused {
			row.Error, row.Code = (*plainError)(&r.want), 0
		}
		v.Errors = append(v.Errors, row)
	}
}

// TestVectorNames keeps names usable as the keys of another SDK's skip list.
func TestVectorNames(t *testing.T) {
	v := generate()
	names := map[string][]string{}
	for _, r := range v.Frames {
		names["frames"] = append(names["frames"], r.Kind+" "+r.Name)
	}
	for _, r := range v.Refusals {
		names["refusals"] = append(names["refusals"], r.Name)
	}
	for _, r := range v.Streams {
		names["streams"] = append(names["streams"], r.Name)
	}
	for _, r := range v.Hellos {
		names["hellos"] = append(names["hellos"], r.Name)
	}
	for _, list := range slices.Sorted(maps.Keys(names)) {
		seen := map[string]bool{}
		for _, n := range names[list] {
			if seen[n] {
				t.Errorf("%s: the name %q repeats", list, n)
			}
			seen[n] = true
		}
	}
}
