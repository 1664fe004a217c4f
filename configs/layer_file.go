package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	kyaml "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/rawbytes"
	"go.yaml.in/yaml/v3"
)

// fileBytesMax bounds a configuration file. The largest sensible one (a few
// hundred instances) is about 50 KiB; beyond this it is the wrong file.
const fileBytesMax = 4 << 20

// readFile returns the text of path. The error names the file and the cause.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fileError(path, err)
	case info.IsDir():
		return nil, fmt.Errorf("%s: is a folder, want a YAML file", path)
	case info.Size() > fileBytesMax:
		return nil, fmt.Errorf("%s: %d bytes, a configuration has at most %d", path, info.Size(), fileBytesMax)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	return data, nil
}

// fileError drops the system call from err: "x.yaml: no such file or directory".
func fileError(path string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// file adds the layer of data, the text of path, and notes the line of each key.
func (l *loader) file(path string, data []byte, wantKeys bool) {
	name := filepath.Clean(path)
	l.at[""] = origin{where: name}

	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		l.problems = append(l.problems, yamlProblems(name, err)...)
		return
	}
	if len(doc.Content) == 0 { // empty, or nothing but comments
		if wantKeys {
			l.problems = append(l.problems, Problem{Where: name, Message: "has no keys any more"})
		}
		return
	}
	walk := nodeWalk{name: name, at: l.at}
	walk.node(nil, doc.Content[0])
	if root := doc.Content[0]; root.Kind != yaml.MappingNode {
		walk.problem(root, nil, "want keys and values")
	}
	if extra := secondDocument(data); extra != nil {
		walk.problem(extra, nil, "a second document: a configuration is one")
	}
	if walk.problems != nil {
		l.problems = append(l.problems, walk.problems...)
		return
	}
	l.layer([]string{name}, rawbytes.Provider(data), kyaml.Parser())
}

// secondDocument returns what follows a second "---", if anything does.
func secondDocument(data []byte) *yaml.Node {
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var first, second yaml.Node
	if dec.Decode(&first) != nil || dec.Decode(&second) != nil || len(second.Content) == 0 {
		return nil
	}
	return second.Content[0]
}

// nodeWalk notes the place of each key and refuses what would hide one.
type nodeWalk struct {
	name     string
	at       origins
	problems []Problem
}

func (w *nodeWalk) node(path []string, n *yaml.Node) {
	if len(path) > 0 {
		w.note(path, n)
	}
	switch n.Kind {
	case yaml.AliasNode:
		// An alias puts one text in several places, so no line would be the right one.
		w.problem(n, path, "YAML aliases are not supported: write the value out")
	case yaml.SequenceNode:
		for i, item := range n.Content {
			w.node(append(path[:len(path):len(path)], strconv.Itoa(i)), item)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				w.problem(key, path, "a key is plain text")
				continue
			}
			sub := append(path[:len(path):len(path)], key.Value)
			w.node(sub, value)
			w.note(sub, key) // the line of its key is where people look
		}
	}
}

func (w *nodeWalk) note(path []string, n *yaml.Node) {
	w.at[strings.Join(path, delim)] = origin{where: fmt.Sprintf("%s:%d", w.name, n.Line), line: n.Line}
}

func (w *nodeWalk) problem(n *yaml.Node, path []string, message string) {
	w.problems = append(w.problems, Problem{
		Where: fmt.Sprintf("%s:%d", w.name, n.Line), Key: joinKey(path), Message: message, line: n.Line,
	})
}

var yamlLine = regexp.MustCompile(`^line (\d+): (.*)$`)

// yamlProblems turns an error of the parser into one problem for each of its lines.
func yamlProblems(name string, err error) []Problem {
	texts := []string{err.Error()}
	var te *yaml.TypeError
	if errors.As(err, &te) {
		texts = te.Errors
	}
	out := make([]Problem, 0, len(texts))
	for _, text := range texts {
		text = strings.TrimPrefix(text, "yaml: ")
		p := Problem{Where: name, Message: text}
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			p.Where, p.Message = name+":"+m[1], m[2]
			p.line, _ = strconv.Atoi(m[1]) // digits by the pattern
		}
		out = append(out, p)
	}
	return out
}
