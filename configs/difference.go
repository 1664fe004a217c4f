package configs

import (
	"maps"
	"reflect"
	"slices"
)

// Differences lists the keys whose values differ between two configurations of one
// role, sorted. Of a list that differs, the key is the list's.
func Differences(a, b any) []string {
	var out []string
	differ(nil, treeOf(reflect.ValueOf(a)), treeOf(reflect.ValueOf(b)), &out)
	return out
}

func differ(path []string, a, b map[string]any, out *[]string) {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := append(path[:len(path):len(path)], key)
		inA, isA := a[key].(map[string]any)
		inB, isB := b[key].(map[string]any)
		switch {
		case isA && isB:
			differ(at, inA, inB, out)
		case !reflect.DeepEqual(a[key], b[key]):
			*out = append(*out, joinKey(at))
		}
	}
}
