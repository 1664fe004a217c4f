package configs

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder writes a tree of values into a struct. It goes on after a mistake, so
// that one run shows them all.
type decoder struct {
	at       origins
	problems []Problem
}

func (d *decoder) problem(path []string, format string, a ...any) {
	at := d.at.find(path)
	d.problems = append(d.problems, Problem{
		Where: at.where, Key: joinKey(path), Message: fmt.Sprintf(format, a...), line: at.line,
	})
}

// value decodes in, which stands at path, into out.
func (d *decoder) value(path []string, k kind, in any, out reflect.Value) {
	if in == nil && k != kindSection {
		d.problem(path, "empty: give a value or remove the key")
		return
	}
	switch k {
	case kindSection:
		m, ok := in.(map[string]any)
		if !ok && in != nil {
			d.problem(path, "want a section with keys of its own, got %s", describe(in))
			return
		}
		d.section(path, m, out)
	case kindMap:
		d.mapping(path, in, out)
	case kindList:
		d.list(path, in, out)
	default:
		if message := setLeaf(k, in, out); message != "" {
			d.problem(path, "%s", message)
		}
	}
}

// section decodes the keys of a struct and refuses those it does not have.
func (d *decoder) section(path []string, in map[string]any, out reflect.Value) {
	fields := fieldsOf(out.Type())
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
		if value, ok := in[f.key]; ok {
			d.value(append(path[:len(path):len(path)], f.key), f.kind, value, out.FieldByIndex(f.steps))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(in)) {
		if !slices.Contains(known, key) {
			d.problem(append(path[:len(path):len(path)], key), "%s", unknownMessage(key, known))
		}
	}
}

// unknownMessage says that key is not one of known, and which may have been meant.
func unknownMessage(key string, known []string) string {
	if best := nearest(key, known); best != "" {
		return fmt.Sprintf("unknown key; did you mean %q?", best)
	}
	return "unknown key"
}

func (d *decoder) mapping(path []string, in any, out reflect.Value) {
	m, ok := in.(map[string]any)
	if !ok {
		d.problem(path, "want a mapping of names to values, got %s", describe(in))
		return
	}
	elem := out.Type().Elem()
	made := reflect.MakeMapWithSize(out.Type(), len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		item := newItem(elem)
		d.value(append(path[:len(path):len(path)], key), kindOf(elem, ""), m[key], item)
		made.SetMapIndex(reflect.ValueOf(key).Convert(out.Type().Key()), item)
	}
	out.Set(made)
}

func (d *decoder) list(path []string, in any, out reflect.Value) {
	if text, ok := in.(string); ok {
		in = splitList(text) // as a variable or a flag gives it
	}
	if m, ok := in.(map[string]any); ok { // items by index, over nothing
		list, err := mergeItems(path, m, nil)
		if err != nil {
			me := err.(*mergeError)
			d.problem(me.path, "%s", me.message)
			return
		}
		in = list
	}
	items, ok := in.([]any)
	if !ok {
		d.problem(path, "want a list, got %s", describe(in))
		return
	}
	elem := out.Type().Elem()
	made := reflect.MakeSlice(out.Type(), 0, len(items))
	for i, value := range items {
		item := newItem(elem)
		d.value(append(path[:len(path):len(path)], strconv.Itoa(i)), kindOf(elem, ""), value, item)
		made = reflect.Append(made, item)
	}
	out.Set(made)
}

// splitList reads "a, b" as a list; an empty text is an empty list.
func splitList(text string) []any {
	out := []any{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// newItem returns a settable T for one item of a list or mapping. An item type
// with a Default method starts from what that returns, so a file needs to give
// only what differs.
func newItem(t reflect.Type) reflect.Value {
	item := reflect.New(t).Elem()
	if m, ok := t.MethodByName("Default"); ok && m.Type.NumIn() == 1 && m.Type.NumOut() == 1 && m.Type.Out(0) == t {
		item.Set(item.Method(m.Index).Call(nil)[0])
	}
	return item
}

// setLeaf writes one scalar. It returns what is wrong, or "".
func setLeaf(k kind, in any, out reflect.Value) string {
	text, isText := in.(string)
	wrong := fmt.Sprintf("want %v, got %s", k, describe(in))
	switch k {
	case kindText:
		if !isText {
			return wrong + "; put it in quotes"
		}
		out.SetString(text)
	case kindBool:
		b, ok := in.(bool)
		if isText {
			var err error
			b, err = strconv.ParseBool(text)
			ok = err == nil
		}
		if !ok {
			return wrong
		}
		out.SetBool(b)
	case kindDuration:
		v, err := time.ParseDuration(text)
		if !isText || err != nil {
			return wrong
		}
		out.SetInt(int64(v))
	case kindCustom:
		if !isText {
			text = fmt.Sprint(in)
		}
		if err := out.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return err.Error()
		}
	default:
		return setNumber(k, in, out, wrong)
	}
	return ""
}

// setNumber writes a number of any width. It returns what is wrong, or "".
func setNumber(k kind, in any, out reflect.Value, wrong string) string {
	text, isText := in.(string)
	if !isText {
		text = fmt.Sprint(in)
	}
	if k == kindFloat {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return wrong
		}
		out.SetFloat(f)
		return ""
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if k == kindSize {
		n, err = parseSize(text)
	}
	switch {
	case err != nil:
		return wrong
	case out.CanUint() && (n < 0 || out.OverflowUint(uint64(n))), out.CanInt() && out.OverflowInt(n):
		return fmt.Sprintf("%s is out of range", text)
	case out.CanUint():
		out.SetUint(uint64(n))
	default:
		out.SetInt(n)
	}
	return ""
}

// describe names a value that was not expected.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case map[string]any:
		return "a section"
	case []any:
		return "a list"
	case string:
		return strconv.Quote(v)
	default:
		return fmt.Sprint(v)
	}
}
