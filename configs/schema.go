package configs

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// kind is how a value is written in a file.
type kind int

const (
	kindSection  kind = iota // a mapping with a fixed set of keys: a struct
	kindList                 // a sequence
	kindMap                  // a mapping with free keys
	kindText                 // a string
	kindBool                 // true or false
	kindInt                  // a whole number
	kindFloat                // a number
	kindDuration             // text such as 10s
	kindSize                 // text such as 64KiB, or a number of bytes
	kindCustom               // text that the type itself reads (encoding.TextUnmarshaler)
)

// String names the kind for people: "want <kind>".
func (k kind) String() string {
	return [...]string{"a section", "a list", "a mapping", "text", "true or false", "a whole number",
		"a number", "a duration such as 10s", "a size such as 64KiB", "text"}[k]
}

var (
	durationType  = reflect.TypeFor[time.Duration]()
	unmarshalType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// field is one key of a section.
type field struct {
	key   string       // as in the file
	index int          // in the owning struct
	owner reflect.Type // the struct that declares it; with name it finds the comment
	name  string       // the Go name
	typ   reflect.Type
	kind  kind
}

// fieldsOf lists the keys of a struct in their order of declaration, each with
// the path of struct fields that leads to it (squashed structs add a step).
// It panics for a type that no file can express, which a test would show.
func fieldsOf(t reflect.Type) []fieldPath {
	var out []fieldPath
	for i := range t.NumField() {
		sf := t.Field(i)
		key, option, _ := strings.Cut(sf.Tag.Get("koanf"), ",")
		switch {
		case option == "squash":
			for _, inner := range fieldsOf(sf.Type) {
				out = append(out, fieldPath{inner.field, append([]int{i}, inner.steps...)})
			}
		case key != "" && key != "-":
			f := field{key: key, index: i, owner: t, name: sf.Name, typ: sf.Type, kind: kindOf(sf.Type, key)}
			out = append(out, fieldPath{f, []int{i}})
		}
	}
	return out
}

// fieldPath is a field and how to reach it from the struct that was asked for.
type fieldPath struct {
	field
	steps []int
}

// kindOf tells how a value of type t under key is written. An integer whose key
// is bytes, or ends in _bytes, is a size.
func kindOf(t reflect.Type, key string) kind {
	switch {
	case t == durationType:
		return kindDuration
	case reflect.PointerTo(t).Implements(unmarshalType):
		return kindCustom
	}
	switch t.Kind() {
	case reflect.Struct:
		return kindSection
	case reflect.Slice:
		return kindList
	case reflect.Map:
		return kindMap
	case reflect.String:
		return kindText
	case reflect.Bool:
		return kindBool
	case reflect.Float32, reflect.Float64:
		return kindFloat
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if key == "bytes" || strings.HasSuffix(key, "_bytes") {
			return kindSize
		}
		return kindInt
	}
	panic(fmt.Sprintf("configs: key %q has type %v, which no file can express", key, t))
}
