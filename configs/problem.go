package configs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Problem is one mistake in a configuration.
type Problem struct {
	Where   string // "gateway.yaml:12", "HOLDFAST_GATEWAY__NAME", "--admin"; empty: no layer set the key
	Key     string // "listeners[0].address"; empty: the whole file
	Message string // what is wrong and what would be right

	line int // orders problems of one file
}

func (p Problem) String() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{p.Where, p.Key, p.Message} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// Error is every mistake that was found in one configuration.
type Error struct{ Problems []Problem }

// Error is one line for one mistake, else a heading and a line for each.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, fmt.Sprintf("%d mistakes in the configuration:", len(e.Problems)))
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

// sortProblems puts the mistakes of a file into the order of its lines; those
// of the environment and of flags follow.
func sortProblems(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.line == 0 || b.line == 0 {
			return cmp.Compare(b.line, a.line)
		}
		return cmp.Compare(a.line, b.line)
	})
}

// origin is where a value was written.
type origin struct {
	where string
	line  int
}

// origins remembers who wrote what: the path of a key (joined by delim) -> the
// place. A later layer overwrites an earlier one.
type origins map[string]origin

// find returns the place of path; else of something inside it (a variable that
// made a list item); else of the nearest section around it, since a key that is
// missing is best shown at the section that lacks it.
func (o origins) find(path []string) origin {
	key := strings.Join(path, delim)
	if at, ok := o[key]; ok {
		return at
	}
	for _, inner := range slices.Sorted(maps.Keys(o)) {
		if strings.HasPrefix(inner, key+delim) {
			return o[inner]
		}
	}
	for n := len(path) - 1; n >= 0; n-- {
		if at, ok := o[strings.Join(path[:n], delim)]; ok {
			return at
		}
	}
	return origin{}
}

// splitKey turns "listeners[0].address" or "listeners.0.address" into its parts.
func splitKey(key string) []string {
	key = strings.NewReplacer("[", ".", "]", "").Replace(key)
	return strings.Split(key, ".")
}

// joinKey is the reverse, in the form that people read.
func joinKey(path []string) string {
	var b strings.Builder
	for i, part := range path {
		switch {
		case isIndex(part):
			fmt.Fprintf(&b, "[%s]", part)
		case i > 0:
			b.WriteString("." + part)
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}

// nearest returns the candidate that is most like word, if any is close enough
// to have been meant.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", len(word)/3+1
	for _, c := range candidates {
		if d := editDistance(word, c); d <= bestDistance && (best == "" || d < bestDistance) {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance counts insertions, deletions and replacements from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
