package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// delim joins the parts of a key inside koanf. A NUL cannot occur in YAML, in a
// variable or in an argument, so every label name is possible as a key.
const delim = "\x00"

// mergeError is a value that cannot be laid over what is there.
type mergeError struct {
	path    []string
	message string
}

func (e *mergeError) Error() string { return joinKey(e.path) + ": " + e.message }

// merge lays src over dst, in place. A mapping merges key by key. A list
// replaces a list; but a mapping of indices, which is how a variable or a flag
// reaches into a list, changes single items or adds one at the end.
func merge(src, dst map[string]any) error { return mergeMap(nil, src, dst) }

func mergeMap(path []string, src, dst map[string]any) error {
	for key, value := range src {
		merged, err := mergeValue(append(path[:len(path):len(path)], key), value, dst[key])
		if err != nil {
			return err
		}
		dst[key] = merged
	}
	return nil
}

// mergeValue returns value laid over old.
func mergeValue(path []string, value, old any) (any, error) {
	under, section := old.(map[string]any)
	if value == nil && section {
		return old, nil // a section whose lines are all commented out changes nothing
	}
	over, ok := value.(map[string]any)
	if !ok {
		return value, nil
	}
	if list, ok := old.([]any); ok {
		return mergeItems(path, over, list)
	}
	if section {
		return under, mergeMap(path, over, under)
	}
	return value, nil
}

// mergeItems lays the items of over, which are keyed by index, over a list.
func mergeItems(path []string, over map[string]any, list []any) (any, error) {
	keys, err := indices(path, over)
	if err != nil {
		return nil, err
	}
	for _, n := range keys {
		at := append(path[:len(path):len(path)], strconv.Itoa(n))
		value := over[strconv.Itoa(n)]
		switch {
		case n < len(list):
			if list[n], err = mergeValue(at, value, list[n]); err != nil {
				return nil, err
			}
		case n == len(list):
			list = append(list, value)
		default:
			return nil, &mergeError{at, fmt.Sprintf("the list has %d items, the next is [%d]", len(list), len(list))}
		}
	}
	return list, nil
}

// indices returns the keys of m as numbers in rising order.
func indices(path []string, m map[string]any) ([]int, error) {
	out := make([]int, 0, len(m))
	for key := range m {
		if !isIndex(key) {
			return nil, &mergeError{append(slices.Clone(path), key), "this is a list: give the number of an item, from 0"}
		}
		n, _ := strconv.Atoi(key) // digits, as just checked
		out = append(out, n)
	}
	slices.SortFunc(out, cmp.Compare)
	return out, nil
}

// isIndex tells whether a part of a key is the number of a list item.
func isIndex(part string) bool {
	return part == "0" || part != "" && len(part) <= 5 && part[0] != '0' && strings.Trim(part, "0123456789") == ""
}
