package admission

import (
	"slices"
	"strings"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// classMatcher finds the class of a command. It is immutable.
type classMatcher struct {
	exact    map[string]int
	prefixes map[string]int
	lengths  []int // of the prefixes, longest first
}

// newClassMatcher returns a matcher whose answers are indices into classes.
func newClassMatcher(classes []Class) *classMatcher {
	m := &classMatcher{exact: make(map[string]int), prefixes: make(map[string]int)}
	for i, c := range classes {
		for _, text := range c.Commands {
			p := parsePattern(text)
			if !p.prefix {
				m.exact[p.text] = i
				continue
			}
			m.prefixes[p.text] = i
			if !slices.Contains(m.lengths, len(p.text)) {
				m.lengths = append(m.lengths, len(p.text))
			}
		}
	}
	slices.SortFunc(m.lengths, func(a, b int) int { return b - a })
	return m
}

// pattern is one of Class.Commands.
type pattern struct {
	text   string
	prefix bool
}

// parsePattern reads "msg." and "msg*", which are the beginnings "msg." and
// "msg", "*", which is that of all commands, and anything else as one command.
func parsePattern(text string) pattern {
	if cut, ok := strings.CutSuffix(text, "*"); ok {
		return pattern{cut, true}
	}
	return pattern{text, strings.HasSuffix(text, ".")}
}

// valid tells whether there can be a command that p matches (docs/protocol.md
// section 2).
func (p pattern) valid() bool {
	text := strings.TrimPrefix(p.text, "$")
	if len(p.text) > wire.CommandBytesMax || p.text == "" && !p.prefix {
		return false
	}
	return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// find returns the index of the class of command, or -1. It costs a map lookup,
// and one more for each length of prefix that there is.
func (m *classMatcher) find(command []byte) int {
	if i, ok := m.exact[string(command)]; ok {
		return i
	}
	for _, n := range m.lengths {
		if n > len(command) {
			continue
		}
		if i, ok := m.prefixes[string(command[:n])]; ok {
			return i
		}
	}
	return -1
}
