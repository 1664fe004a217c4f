package proof

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// fuzzed is everything that reads what somebody without credentials has sent, and
// the fuzz targets that hold it (P18).
var fuzzed = map[string]map[string][]string{
	"TCP frame":       {"gateway/wire": {"FuzzParseStream", "FuzzParse"}},
	"JSON frame":      {"gateway/wire": {"FuzzParseJSON", "FuzzParseJSONArray", "FuzzScanner"}},
	"HELLO":           {"gateway/wire": {"FuzzParseHello", "FuzzParseObjects"}},
	"WebSocket":       {"gateway/transport/websocket": {"FuzzDecoder", "FuzzFrames", "FuzzAccept"}},
	"HTTP head":       {"gateway/transport/http1": {"FuzzNext"}},
	"query":           {"gateway/poll": {"FuzzQuery"}},
	"PROXY":           {"gateway/transport/proxyproto": {"FuzzParse"}},
	"ClientHello":     {"gateway/transport/secure": {"FuzzHello"}},
	"whole read path": {"gateway/transport": {"FuzzIngest"}},
}

// TestFuzzTargets finds each of them, and that it has seeds: those run whenever
// tests do.
func TestFuzzTargets(t *testing.T) {
	targets := 0
	for what, packages := range fuzzed {
		for folder, names := range packages {
			found := fuzzTargets(t, filepath.Join("../..", folder))
			for _, name := range names {
				seeds, ok := found[name]
				switch {
				case !ok:
					t.Errorf("%s: %s has no target %s", what, folder, name)
				case !seeds:
					t.Errorf("%s: %s.%s has no seeds", what, folder, name)
				}
				targets++
			}
		}
	}
	testenv.Figure(t, "P18", "%d fuzz targets for %d kinds of input, each with seeds that run with every test", targets, len(fuzzed))
}

// fuzzTargets are the fuzz targets of a folder's tests, and whether they have
// seeds, in the code or beside it.
func fuzzTargets(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Fuzz") {
				continue
			}
			_, err := os.Stat(filepath.Join(folder, "testdata/fuzz", f.Name.Name))
			found[f.Name.Name] = err == nil || adds(f)
		}
	}
	return found
}

// adds reports whether a fuzz target adds seeds, by itself or in a helper that it
// hands its *testing.F to.
func adds(f *ast.FuncDecl) (yes bool) {
	arg := f.Type.Params.List[0].Names[0].Name
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Add" {
			if id, ok := s.X.(*ast.Ident); ok && id.Name == arg {
				yes = true
			}
		}
		for _, a := range call.Args {
			if id, ok := a.(*ast.Ident); ok && id.Name == arg {
				yes = true
			}
		}
		return true
	})
	return yes
}
