package archtest

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// TestArchitecture holds the module to rules.go.
func TestArchitecture(t *testing.T) {
	pkgs, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 10 {
		t.Fatalf("go list found %d packages: the checker is looking at the wrong place", len(pkgs))
	}
	for _, v := range check(pkgs, projectRules()) {
		t.Error(v)
	}
}

// TestRulesAreCurrent checks that no rule speaks of a package that is gone.
func TestRulesAreCurrent(t *testing.T) {
	pkgs, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pkgs {
		names = append(names, p.name)
	}
	r := projectRules()
	for _, rules := range []map[string][]string{r.mayImport, r.testSuites} {
		for name, imports := range rules {
			for _, n := range append(imports, name) {
				if !slices.Contains(names, n) {
					t.Errorf("the rules name %s, which is not a package", n)
				}
			}
		}
	}
	for _, name := range r.pure {
		if !slices.Contains(names, name) {
			t.Errorf("pure names %s, which is not a package", name)
		}
	}
	for _, e := range r.exemptions {
		if e.reason == "" {
			t.Errorf("the exemption of %s for %s has no reason", e.who, e.what)
		}
	}
}

// sourcePkg makes a package of one file with the given text.
func sourcePkg(t *testing.T, name, path, text string, imports ...string) pkg {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	f := file{path: path, test: strings.HasSuffix(path, "_test.go"), lines: strings.Count(text, "\n"), ast: parsed}
	return pkg{name: name, imports: imports, files: []file{f}}
}

// TestCheckerCatches shows the checker one violation of each rule.
func TestCheckerCatches(t *testing.T) {
	rules := ruleset{
		mayImport:  map[string][]string{"a": {"b"}, "b": nil, "p": nil, root: {"tools/x"}},
		testSuites: map[string][]string{"b/btest": {"b"}, "tools/env": nil},
		doors:      map[string][]string{"github.com/x/net": {"a"}, "github.com/x/any": anyPackage},
		testOnly:   []string{"go.uber.org/goleak"},
		pure:       []string{"p"},
		impure:     []string{"os", "github.com/x/any"},
	}
	const plain = "package x\n"
	tests := []struct {
		name string
		pkg  pkg
		want string // "" for no violation
	}{
		{"allowed arrow", sourcePkg(t, "a", "a/f.go", plain, module+"/b", "fmt"), ""},
		{"arrow that is not listed", sourcePkg(t, "b", "b/f.go", plain, module+"/a"), "b: imports a, which mayImport does not list"},
		{"package that is not listed", sourcePkg(t, "c", "c/f.go", plain), "c: is not listed in mayImport"},
		{"open door", sourcePkg(t, "a", "a/f.go", plain, "github.com/x/net/sub"), ""},
		{"closed door", sourcePkg(t, "b", "b/f.go", plain, "github.com/x/net"), "b: imports github.com/x/net, whose door is a"},
		{"no door", sourcePkg(t, "a", "a/f.go", plain, "github.com/x/network"), "a: imports github.com/x/network, which has no door"},
		{"door for all", sourcePkg(t, "b", "b/f.go", plain, "github.com/x/any"), ""},
		{"generated contract has doors", sourcePkg(t, "a", "a/f.go", plain, contract+"/holdfast"), "imports " + contract + "/holdfast, which has no door"},
		{"test library in the product", sourcePkg(t, "a", "a/f.go", plain, "go.uber.org/goleak"), "a: product code imports go.uber.org/goleak"},
		{"suite in the product", sourcePkg(t, "a", "a/f.go", plain, module+"/b/btest"), "a: product code imports the test suite b/btest"},
		{"suite", sourcePkg(t, "b/btest", "b/btest/f.go", plain, module+"/b", "go.uber.org/goleak"), ""},
		{"tests import tools", pkg{name: "a", testImports: []string{module + "/tools/x"}}, "a: its tests import tools/x"},
		{"tests import a suite of tools", pkg{name: "a", testImports: []string{module + "/tools/env"}}, ""},
		{"main's tests import tools", pkg{name: root, testImports: []string{module + "/tools/x"}}, ""},
		{"tests import something unknown", pkg{name: "a", testImports: []string{"github.com/stretchr/testify"}}, "a: its tests import github.com/stretchr/testify"},
		{"pure imports os", sourcePkg(t, "p", "p/f.go", plain, "os"), "p: is pure, but imports os"},
		{"pure imports metrics", sourcePkg(t, "p", "p/f.go", plain, "github.com/x/any/sub"), "p: is pure, but imports github.com/x/any/sub"},
		{"pure imports time", sourcePkg(t, "p", "p/f.go", plain, "time"), ""},
		{"pure asks for the time", sourcePkg(t, "p", "p/f.go", "package p\nvar t = time.Now()\n", "time"), "p/f.go: is in a pure package, but calls time.Now"},
		{"global metric", sourcePkg(t, "a", "a/f.go", "package a\nfunc f() { prometheus.MustRegister(nil) }\n"), "a/f.go: uses the global registry by prometheus.MustRegister"},
		{"injected metric", sourcePkg(t, "a", "a/f.go", "package a\nfunc f(reg R) { reg.MustRegister(nil); promauto.With(reg) }\n"), ""},
		{"long file", sourcePkg(t, "a", "a/f.go", plain+strings.Repeat("\n", fileLinesMax)), "a/f.go: 501 lines, want at most 500"},
		{"long test file", sourcePkg(t, "a", "a/f_test.go", plain+strings.Repeat("\n", testFileLinesMax)), "a/f_test.go: 801 lines, want at most 800"},
		{"goroutine without TestMain", sourcePkg(t, "a", "a/f.go", "package a\nfunc Run() { go f() }\n"), "a: starts goroutines, but has no TestMain"},
		{"group without TestMain", sourcePkg(t, "a", "a/f.go", "package a\nfunc Run() { g.Go(f) }\n"), "a: starts goroutines, but has no TestMain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(check([]pkg{tt.pkg}, rules), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("check = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestConstructorsStartNothing(t *testing.T) {
	c := checker{}
	p := sourcePkg(t, "a", "a/f.go", `package a
func New() *T { go f(); return nil }
func newT() func() { return func() { go f() } }
func (t *T) NewConn() { go f() }
func Run() { go f() }
`)
	c.file(p, p.files[0])
	if want := []string{"a/f.go: the constructor New starts a goroutine"}; !slices.Equal(c.found, want) {
		t.Errorf("found %q, want %q", c.found, want)
	}
}

// TestExemptions checks that one is honoured, and reported once nothing needs it.
func TestExemptions(t *testing.T) {
	rules := ruleset{mayImport: map[string][]string{"a": nil, "b": nil}, exemptions: []exemption{{"a", "b", "for the test"}}}
	arrow := sourcePkg(t, "a", "a/f.go", "package a\n", module+"/b")
	if got := check([]pkg{arrow}, rules); got != nil {
		t.Errorf("check = %q, want nothing: the arrow is exempt", got)
	}
	without := sourcePkg(t, "a", "a/f.go", "package a\n")
	if got := check([]pkg{without}, rules); len(got) != 1 || !strings.Contains(got[0], "not needed any more") {
		t.Errorf("check = %q, want the useless exemption", got)
	}
}
