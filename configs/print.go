package configs

import (
	"encoding"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// treeOf returns a struct's values as a file would give them.
func treeOf(v reflect.Value) map[string]any {
	out := map[string]any{}
	for _, f := range fieldsOf(v.Type()) {
		out[f.key] = plain(f.kind, v.FieldByIndex(f.steps))
	}
	return out
}

// plain returns one value as a file would give it.
func plain(k kind, v reflect.Value) any {
	switch k {
	case kindSection:
		return treeOf(v)
	case kindList:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = plainItem(v.Index(i))
		}
		return items
	case kindMap:
		m := map[string]any{}
		for iter := v.MapRange(); iter.Next(); {
			m[iter.Key().String()] = plainItem(iter.Value())
		}
		return m
	case kindDuration:
		return formatDuration(time.Duration(v.Int()))
	case kindSize:
		return plainSize(v)
	case kindCustom:
		return customText(v)
	case kindText:
		return v.String() // not Interface: a named string type would hide its kind
	default:
		return v.Interface()
	}
}

// plainItem returns one item of a list or mapping, without what an item has by
// itself.
func plainItem(v reflect.Value) any {
	if kindOf(v.Type(), "") != kindSection {
		return plain(kindOf(v.Type(), ""), v)
	}
	m := map[string]any{}
	for _, f := range givenIn(v) {
		m[f.key] = plain(f.kind, v.FieldByIndex(f.steps))
	}
	return m
}

// givenIn lists the fields of an item that differ from what it starts from.
func givenIn(v reflect.Value) []fieldPath {
	start := newItem(v.Type())
	return slices.DeleteFunc(fieldsOf(v.Type()), func(f fieldPath) bool {
		return reflect.DeepEqual(v.FieldByIndex(f.steps).Interface(), start.FieldByIndex(f.steps).Interface())
	})
}

// plainSize is text with a unit, or a plain number where no unit fits.
func plainSize(v reflect.Value) any {
	n := int(v.Convert(reflect.TypeFor[int]()).Int())
	if text := formatSize(int64(n)); text != strconv.Itoa(n) {
		return text
	}
	return n
}

// customText asks a type for its text.
func customText(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v.Interface())
}

// formatDuration drops the zero units that Duration.String keeps: 1m, not 1m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// WriteDefault writes role's defaults as a YAML file with every key and its
// meaning. Loading the text gives the defaults again.
func WriteDefault(w io.Writer, role Role) error { return writeDefault(w, role, role.Default()) }

func writeDefault(w io.Writer, role Role, defaults any) error {
	p := printer{w: w}
	p.line(0, "# Defaults of `holdfast %s`. Every key may be left out; %s sets the", role, EnvName(role, "<key>"))
	p.line(0, "# same key (\"__\" between levels), and flags override both. docs/configuration.md has all roles.")
	p.section(0, reflect.ValueOf(defaults))
	return p.err
}

// printer writes YAML; after the first error it writes nothing more.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(depth int, format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, strings.Repeat("  ", depth)+format+"\n", a...)
	}
}

func (p *printer) section(depth int, v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		if depth == 0 {
			p.line(0, "")
		}
		for _, text := range wrap(commentOf(f.field), 96-2*depth) {
			p.line(depth, "# %s", text)
		}
		p.value(depth, f.key, f.kind, v.FieldByIndex(f.steps))
	}
}

func (p *printer) value(depth int, key string, k kind, v reflect.Value) {
	switch {
	case k == kindSection:
		p.line(depth, "%s:", key)
		p.section(depth+1, v)
	case k == kindList && v.Len() > 0 && kindOf(v.Type().Elem(), "") == kindSection:
		p.line(depth, "%s:", key)
		for i := range v.Len() {
			p.item(depth+1, v.Index(i))
		}
	case k == kindMap && v.Len() > 0:
		p.line(depth, "%s:", key)
		m := plain(k, v).(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			p.line(depth+1, "%s: %s", scalar(name), flow(m[name]))
		}
	default:
		p.line(depth, "%s: %s", key, flow(plain(k, v)))
	}
}

// item writes one section of a list: what differs from an item's own defaults,
// and without comments. Both stand in docs/configuration.md; repeated for each
// item they would bury the values.
func (p *printer) item(depth int, v reflect.Value) {
	given, dash := givenIn(v), "- "
	if len(given) == 0 {
		p.line(depth, "- {}")
	}
	for _, f := range given {
		p.line(depth, "%s%s: %s", dash, f.key, flow(plain(f.kind, v.FieldByIndex(f.steps))))
		dash = "  "
	}
}

// flow writes a value on one line.
func flow(v any) string {
	switch v := v.(type) {
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, scalar(key)+": "+flow(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = flow(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return scalar(v)
	default:
		return fmt.Sprint(v)
	}
}

// scalar quotes text where YAML would read something else. It is judged inside
// a flow list, where more characters have a meaning than in a block.
func scalar(text string) string {
	var back []any
	if yaml.Unmarshal([]byte("["+text+"]"), &back) != nil || len(back) != 1 || back[0] != any(text) {
		return strconv.Quote(text)
	}
	return text
}

// wrap breaks text into lines of at most width bytes, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
