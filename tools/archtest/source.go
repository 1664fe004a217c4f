package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// pkg is one package as `go list` and the parser see it.
type pkg struct {
	name        string   // without the module; root for package main
	imports     []string // of product code
	testImports []string // of both kinds of tests
	files       []file
}

// file is one source file.
type file struct {
	path  string // relative to the module's root
	test  bool
	lines int
	ast   *ast.File
}

// load lists and parses the module at dir. It runs the go command, so it takes
// about a second.
func load(dir string) ([]pkg, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,TestImports,XTestImports,GoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, errs.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l struct {
			ImportPath, Dir                    string
			Imports, TestImports, XTestImports []string
			GoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if strings.HasPrefix(l.ImportPath, contract) {
			continue // generated
		}
		p := pkg{name: short(l.ImportPath), imports: l.Imports, testImports: append(l.TestImports, l.XTestImports...)}
		for _, name := range append(append(l.GoFiles, l.TestGoFiles...), l.XTestGoFiles...) {
			f, err := parse(dir, filepath.Join(l.Dir, name))
			if err != nil {
				return nil, err
			}
			p.files = append(p.files, f)
		}
		pkgs = append(pkgs, p)
	}
}

func parse(dir, path string) (file, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return file{}, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return file{}, err
	}
	rel, err := filepath.Rel(abs, path)
	if err != nil {
		return file{}, err
	}
	return file{
		path: filepath.ToSlash(rel), test: strings.HasSuffix(path, "_test.go"),
		lines: bytes.Count(text, []byte("\n")), ast: parsed,
	}, nil
}

// short returns the name that the rules use for an import path of the project.
func short(path string) string {
	if path == module {
		return root
	}
	return strings.TrimPrefix(path, module+"/")
}

// ours tells whether an import path is the project's own and not generated.
func ours(path string) bool {
	return (path == module || strings.HasPrefix(path, module+"/")) && !within(path, contract)
}

// within tells whether path is prefix or below it.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// std tells whether path is of the standard library: its first part has no dot.
func std(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
