package configs

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// sample has every kind of value, so that the loader is tested apart from what
// the components happen to need.
type sample struct {
	Name   string            `koanf:"name"`
	Labels map[string]string `koanf:"labels"`
	Ports  []port            `koanf:"ports"`
	Allow  []string          `koanf:"allow"`
	Limits limits            `koanf:"limits"`
	Flat   flat              `koanf:",squash"`
	Apart  func()            `koanf:"-"` // no file can give it
}

type port struct {
	Address string        `koanf:"address"`
	Timeout time.Duration `koanf:"timeout"`
}

func (port) Default() port { return port{Timeout: 3 * time.Second} }

type limits struct {
	FrameBytes int           `koanf:"frame_bytes"`
	Window     uint8         `koanf:"window"`
	Ratio      float64       `koanf:"ratio"`
	Wait       time.Duration `koanf:"wait"`
	Level      slog.Level    `koanf:"level"`
}

func (l limits) Validate() error {
	var errs []error
	if l.Window == 0 {
		errs = append(errs, errors.New("window: 0, want at least 1"))
	}
	if l.Wait < 0 {
		errs = append(errs, fmt.Errorf("wait: %v, want 0 or more", l.Wait))
	}
	return errors.Join(errs...)
}

type flat struct {
	On bool `koanf:"on"`
}

func (s sample) Check() error {
	if len(s.Ports) > 1 && s.Ports[1].Address == s.Ports[0].Address {
		return fmt.Errorf("ports[1].address: %s is taken by ports[0]", s.Ports[1].Address)
	}
	return nil
}

func sampleDefault() sample {
	return sample{
		Name:   "s",
		Labels: map[string]string{"a.b/c": "1"},
		Ports:  []port{{Address: "x:1", Timeout: time.Second}},
		Allow:  []string{"10.0.0.0/8", "with, comma"},
		Limits: limits{FrameBytes: 64 << 10, Window: 4, Ratio: 0.5, Wait: 90 * time.Minute, Level: slog.LevelWarn},
		Flat:   flat{On: true},
	}
}

// loadSample loads text under the role gateway, so its variables are HOLDFAST_GATEWAY__*.
func loadSample(text string, env []string, flags Flags) (sample, error) {
	got, err := load(RoleGateway, sampleDefault(), Sources{File: "dir/../f.yaml", Environ: env, Flags: flags}, []byte(text))
	if err != nil {
		return sample{}, err
	}
	return got.(sample), nil
}

func TestDefaultsStayWithoutLayers(t *testing.T) {
	got, err := loadSample("", nil, Flags{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleDefault(), got); diff != "" {
		t.Errorf("an empty file changed the defaults (-want +got):\n%s", diff)
	}
}

func TestDefaultTextLoadsBackEqual(t *testing.T) {
	want := sampleDefault()
	want.Name, want.Allow = "yes: #1", []string{"", "null", "- x", `a"b`, "1e3", "~"}
	want.Labels = map[string]string{"a.b/c": "off", "k: v": "{x}"}
	var text bytes.Buffer
	if err := writeDefault(&text, RoleGateway, want); err != nil {
		t.Fatal(err)
	}
	got, err := loadSample(text.String(), nil, Flags{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, text.String())
	}
}

// TestLayers checks that the file lies over the defaults, the environment over
// the file, and flags over all, down to single items of a list.
func TestLayers(t *testing.T) {
	set := pflag.NewFlagSet("x", pflag.ContinueOnError)
	set.String("wait", "", "")
	set.Bool("on", false, "")
	if err := set.Parse([]string{"--wait", "7s"}); err != nil {
		t.Fatal(err)
	}
	got, err := loadSample(`
name: file
labels: {zone: z1}
ports:
  - {address: a:1}
  - {address: b:2, timeout: 1m30s}
limits:
  frame_bytes: 1MiB
  wait: 5s
`, []string{
		"HOLDFAST_GATEWAY__NAME=env",
		"HOLDFAST_GATEWAY__PORTS__1__ADDRESS=c:3",
		"HOLDFAST_GATEWAY__PORTS__2__ADDRESS=d:4",
		"HOLDFAST_GATEWAY__LABELS__RACK=r=9",
		"HOLDFAST_GATEWAY__LIMITS__WAIT=6s",
		"HOLDFAST_GATEWAY__LIMITS__WINDOW=9",
		"HOLDFAST_GATEWAY__ALLOW=u, v",
		"HOLDFAST_TEST_CONSUL=here",
		"PATH=/bin",
	}, Flags{Set: set, Keys: map[string]string{"wait": "limits.wait", "on": "on"},
		Pairs: []string{"ports[0].timeout=9s"}, PairsFlag: "set"})
	if err != nil {
		t.Fatal(err)
	}
	want := sampleDefault()
	want.Name = "env"
	want.Labels = map[string]string{"a.b/c": "1", "zone": "z1", "rack": "r=9"}
	want.Ports = []port{{"a:1", 9 * time.Second}, {"c:3", 90 * time.Second}, {"d:4", 3 * time.Second}}
	want.Allow = []string{"u", "v"}
	want.Limits.FrameBytes, want.Limits.Wait, want.Limits.Window = 1<<20, 7*time.Second, 9
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMistakes checks the text of each refusal: it names the place, the key,
// and what would be right.
func TestMistakes(t *testing.T) {
	tests := []struct {
		name, file string
		env        []string
		pairs      []string
		want       string
	}{
		{name: "unknown key", file: "name: x\nlimts: {}\n", want: `f.yaml:2: limts: unknown key; did you mean "limits"?`},
		{name: "unknown inside", file: "limits:\n  zzz: 1\n", want: `f.yaml:2: limits.zzz: unknown key`},
		{name: "unknown in a list", file: "ports:\n  - address: a\n    adress: b\n", want: `f.yaml:3: ports[0].adress: unknown key; did you mean "address"?`},
		{name: "duration without unit", file: "limits: {wait: 10}\n", want: `f.yaml:1: limits.wait: want a duration such as 10s, got 10`},
		{name: "size of the wrong unit", file: "limits:\n\n  frame_bytes: 64KB\n", want: `f.yaml:3: limits.frame_bytes: want a size such as 64KiB, got "64KB"`},
		{name: "number for text", file: "name: 1001\n", want: `f.yaml:1: name: want text, got 1001; put it in quotes`},
		{name: "out of range", file: "limits: {window: 256}\n", want: `f.yaml:1: limits.window: 256 is out of range`},
		{name: "negative", file: "limits: {window: -1}\n", want: `f.yaml:1: limits.window: -1 is out of range`},
		{name: "bool", file: "on: 2\n", want: `f.yaml:1: on: want true or false, got 2`},
		{name: "section as text", file: "limits: x\n", want: `f.yaml:1: limits: want a section with keys of its own, got "x"`},
		{name: "list as section", file: "ports: {a: 1}\n", want: `f.yaml:1: ports.a: this is a list: give the number of an item, from 0`},
		{name: "empty value", file: "name:\n", want: `f.yaml:1: name: empty: give a value or remove the key`},
		{name: "twice", file: "name: a\nname: b\n", want: `f.yaml:2: mapping key "name" already defined at line 1`},
		{name: "syntax", file: "a: b\n c: d\n", want: `f.yaml:2: mapping values are not allowed in this context`},
		{name: "not a mapping", file: "- a\n", want: `f.yaml:1: want keys and values`},
		{name: "alias", file: "name: &a x\nallow: [*a]\n", want: `f.yaml:2: allow[0]: YAML aliases are not supported: write the value out`},
		{name: "two documents", file: "name: x\n---\nname: y\n", want: `f.yaml:3: a second document: a configuration is one`},
		{name: "validate", file: "limits:\n  window: 0\n", want: `f.yaml:2: limits.window: 0, want at least 1`},
		{name: "check", file: "ports: [{address: q}]\n", env: []string{"HOLDFAST_GATEWAY__PORTS__1__ADDRESS=q"},
			want: `HOLDFAST_GATEWAY__PORTS__1__ADDRESS: ports[1].address: q is taken by ports[0]`},
		{name: "variable of no role", env: []string{"HOLDFAST_NAME=x"}, want: `HOLDFAST_NAME: unknown variable: want HOLDFAST_<ROLE>__<KEY>`},
		{name: "variable without key", env: []string{"HOLDFAST_GATEWAY__=x"}, want: `HOLDFAST_GATEWAY__: unknown variable`},
		{name: "variable unknown", env: []string{"HOLDFAST_GATEWAY__NAMES=x"}, want: `HOLDFAST_GATEWAY__NAMES: names: unknown key; did you mean "name"?`},
		{name: "variable of another role unknown", env: []string{"HOLDFAST_DEV__LISTE=x"}, want: `HOLDFAST_DEV__LISTE: liste: unknown key; did you mean "listen"?`},
		{name: "variable beyond the list", env: []string{"HOLDFAST_GATEWAY__PORTS__2__ADDRESS=x"}, want: `HOLDFAST_GATEWAY__PORTS__2__ADDRESS: ports[2]: the list has 1 items, the next is [1]`},
		{name: "pair", pairs: []string{"limits.wait=soon"}, want: `--set limits.wait: limits.wait: want a duration such as 10s, got "soon"`},
		{name: "pair without value", pairs: []string{"name"}, want: `--set name: want key=value`},
		{name: "custom", file: "limits: {level: loud}\n", want: `f.yaml:1: limits.level: slog: level string "loud": unknown name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadSample(tt.file, tt.env, Flags{Pairs: tt.pairs, PairsFlag: "set"})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("load = %v, want an *Error", err)
			}
			if len(e.Problems) != 1 || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("load = %v\nwant   %v", err, tt.want)
			}
		})
	}
}

// TestAllMistakesTogether checks that one run shows every mistake, the file's in
// the order of its lines.
func TestAllMistakesTogether(t *testing.T) {
	_, err := loadSample("on: maybe\nname: 5\nlimits:\n  wait: x\n  nope: 1\n", []string{"HOLDFAST_GATEWAY__ZZZ=1"}, Flags{})
	want := `5 mistakes in the configuration:
  f.yaml:1: on: want true or false, got "maybe"
  f.yaml:2: name: want text, got 5; put it in quotes
  f.yaml:4: limits.wait: want a duration such as 10s, got "x"
  f.yaml:5: limits.nope: unknown key
  HOLDFAST_GATEWAY__ZZZ: zzz: unknown key`
	if err == nil || err.Error() != want {
		t.Errorf("load = %v\nwant %v", err, want)
	}
	_, err = loadSample("limits:\n  wait: -1s\n", []string{"HOLDFAST_GATEWAY__LIMITS__WINDOW=0"}, Flags{})
	want = `2 mistakes in the configuration:
  f.yaml:2: limits.wait: -1s, want 0 or more
  HOLDFAST_GATEWAY__LIMITS__WINDOW: limits.window: 0, want at least 1`
	if err == nil || err.Error() != want {
		t.Errorf("load = %v\nwant %v", err, want)
	}
}

// TestUnreadableAndImpossibleTogether checks that a value that cannot be read does
// not hide one that cannot work, and is not reported twice.
func TestUnreadableAndImpossibleTogether(t *testing.T) {
	_, err := loadSample("bogus: 1\nlimits:\n  window: lots\n  wait: -1s\n", nil, Flags{})
	want := `3 mistakes in the configuration:
  f.yaml:1: bogus: unknown key
  f.yaml:3: limits.window: want a whole number, got "lots"
  f.yaml:4: limits.wait: -1s, want 0 or more`
	if err == nil || err.Error() != want {
		t.Errorf("load = %v\nwant %v", err, want)
	}
}

// TestMissingKeyNamesItsSection checks that a key that nobody gave is shown at
// the section that lacks it, with the variable that would set it.
func TestMissingKeyNamesItsSection(t *testing.T) {
	d := sampleDefault()
	d.Limits.Window = 0
	_, err := load(RoleGateway, d, Sources{File: "f.yaml"}, []byte("name: x\nlimits:\n  wait: 1s\n"))
	want := "f.yaml:2: limits.window: 0, want at least 1 (not set; HOLDFAST_GATEWAY__LIMITS__WINDOW or the file sets it)"
	if err == nil || err.Error() != want {
		t.Errorf("load = %v\nwant   %v", err, want)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "512": 512, "64KiB": 65536, "1 MiB": 1 << 20, "3GiB": 3 << 30, "5B": 5} {
		got, err := parseSize(text)
		if err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
		if back, _ := parseSize(formatSize(want)); back != want {
			t.Errorf("formatSize(%d) = %q, which reads as %d", want, formatSize(want), back)
		}
	}
	for _, text := range []string{"", "-1", "64KB", "64K", "1.5MiB", "9223372036854775807KiB", "KiB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", text, got)
		}
	}
}

// TestEmptyFile checks that a file may say nothing at a start, and not when it is
// read again.
func TestEmptyFile(t *testing.T) {
	for _, text := range []string{"", "# nothing\n"} {
		if _, err := load(RoleGateway, DefaultGateway(), Sources{File: "g.yaml"}, []byte(text)); err != nil {
			t.Errorf("%q at a start: %v", text, err)
		}
		_, err := load(RoleGateway, DefaultGateway(), Sources{File: "g.yaml", Again: true}, []byte(text))
		if err == nil || err.Error() != "g.yaml: has no keys any more" {
			t.Errorf("%q again: %v, want an error", text, err)
		}
	}
}
