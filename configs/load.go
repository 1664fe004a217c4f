package configs

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/v2"
)

// Sources are the layers over the defaults.
type Sources struct {
	File    string   // path of a YAML file; empty: none
	Environ []string // as os.Environ gives it
	Flags   Flags
	// Again: the configuration is in use and read again. A file without a single key
	// is a mistake then: it is being written, or was lost, and defaults are not what
	// it stood for.
	Again bool
}

// Load reads role's configuration into a T, which must be that role's struct.
// It blocks for the file only. Mistakes in the content are one *Error that
// lists them all; a file that cannot be read is an error that names it.
func Load[T any](role Role, src Sources) (T, error) {
	var zero T
	var data []byte
	if src.File != "" {
		var err error
		if data, err = readFile(src.File); err != nil {
			return zero, err
		}
	}
	cfg, err := load(role, role.Default(), src, data)
	if err != nil {
		return zero, err
	}
	return cfg.(T), nil
}

// Check loads role's configuration and forgets it: what `config validate` does.
func Check(role Role, src Sources) error {
	data, err := readFile(src.File)
	if err != nil {
		return err
	}
	_, err = load(role, role.Default(), src, data)
	return err
}

// load is Load without the file system and without the type.
func load(role Role, defaults any, src Sources, data []byte) (any, error) {
	l := loader{role: role, k: koanf.New(delim), at: origins{}}
	l.layer(nil, tree(treeOf(reflect.ValueOf(defaults))), nil)
	if src.File != "" {
		l.file(src.File, data, src.Again)
	}
	l.env(src.Environ)
	l.flags(src.Flags)

	out := reflect.New(reflect.TypeOf(defaults)).Elem()
	out.Set(reflect.ValueOf(defaults)) // what cannot be decoded keeps its default
	d := decoder{at: l.at}
	d.section(nil, l.k.Raw(), out)
	l.problems = append(l.problems, d.problems...)
	l.problems = append(l.problems, news(l.problems, validate(out, l.at, role))...)
	if len(l.problems) > 0 {
		sortProblems(l.problems)
		return nil, &Error{Problems: l.problems}
	}
	return out.Interface(), nil
}

// news drops the findings about values that have a problem already: what stands
// there is not what the operator wrote.
func news(known, found []Problem) []Problem {
	return slices.DeleteFunc(found, func(f Problem) bool {
		return slices.ContainsFunc(known, func(k Problem) bool {
			return k.Key != "" && (f.Key == k.Key || strings.HasPrefix(f.Key, k.Key+".") || strings.HasPrefix(f.Key, k.Key+"["))
		})
	})
}

// loader lays the layers over each other and remembers where each value stands.
type loader struct {
	role     Role
	k        *koanf.Koanf
	at       origins
	problems []Problem
}

// layer merges one source. where, if set, is what to blame for a source that
// cannot be read at all.
func (l *loader) layer(where []string, p koanf.Provider, parser koanf.Parser) {
	err := l.k.Load(p, parser, koanf.WithMergeFunc(merge))
	var me *mergeError
	switch {
	case err == nil:
	case errors.As(err, &me):
		at := l.at.find(me.path)
		l.problems = append(l.problems, Problem{Where: at.where, Key: joinKey(me.path), Message: me.message, line: at.line})
	default:
		l.problems = append(l.problems, yamlProblems(strings.Join(where, ""), err)...)
	}
}

// tree is a koanf provider of values that are already there.
type tree map[string]any

func (t tree) Read() (map[string]any, error) { return t, nil }

func (t tree) ReadBytes() ([]byte, error) { return nil, errors.ErrUnsupported }
