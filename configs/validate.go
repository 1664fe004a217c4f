package configs

import (
	"reflect"
	"strings"
)

// validate asks each component for what cannot work together. A section with a
// Validate method answers for all that is in it.
func validate(v reflect.Value, at origins, role Role) []Problem {
	var out []Problem
	for _, found := range judge(nil, v) {
		path := splitKey(found.key)
		o := at.find(path)
		p := Problem{Where: o.where, Key: joinKey(path), Message: found.message, line: o.line}
		if _, given := at[strings.Join(path, delim)]; !given && p.Key != "" {
			p.Message += " (not set; " + EnvName(role, p.Key) + " or the file sets it)"
		}
		out = append(out, p)
	}
	return out
}

// finding is one line of a Validate error, split at its key.
type finding struct{ key, message string }

type validator interface{ Validate() error }

// judge collects the findings below v, whose keys begin with prefix.
func judge(prefix []string, v reflect.Value) []finding {
	if c, ok := v.Interface().(validator); ok {
		return findings(prefix, c.Validate())
	}
	var out []finding
	for i := range v.NumField() {
		key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("koanf"), ",")
		if v.Field(i).Kind() != reflect.Struct || key == "" && option != "squash" {
			continue
		}
		sub := prefix[:len(prefix):len(prefix)]
		if option != "squash" {
			sub = append(sub, key)
		}
		out = append(out, judge(sub, v.Field(i))...)
	}
	if c, ok := v.Interface().(interface{ Check() error }); ok {
		out = append(out, findings(prefix, c.Check())...)
	}
	return out
}

// findings splits what errors.Join put together. By the project's convention a
// Validate error is "key: message", with the key as the file has it.
func findings(prefix []string, err error) []finding {
	switch e := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var out []finding
		for _, one := range e.Unwrap() {
			out = append(out, findings(prefix, one)...)
		}
		return out
	}
	var out []finding
	for line := range strings.Lines(err.Error()) {
		key, message, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.ContainsAny(key, " \t") {
			key, message = "", strings.TrimSpace(line)
		}
		full := strings.Join(append(prefix[:len(prefix):len(prefix)], nonEmpty(key)...), ".")
		out = append(out, finding{full, message})
	}
	return out
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
