package ctl

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Output is where answers go, and how.
type Output struct {
	To   io.Writer
	JSON bool
}

// json writes v for programs.
func (o Output) json(v any) error {
	enc := json.NewEncoder(o.To)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table writes rows below head, in columns. An empty cell is written as "-".
func (o Output) table(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(o.To, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = cell; cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush() // errors of the lines before come out here
}

// ago is how long before now t was, to the second; empty for the zero time.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return max(0, now.Sub(t)).Round(time.Second).String()
}
