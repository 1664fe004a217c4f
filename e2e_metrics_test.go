package main

import (
	"bufio"
	"strconv"
	"strings"
)

// sample is the sum of a metric's series in Prometheus text; 0 where there is none.
func sample(body, name string) (sum float64) {
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		series, value, ok := strings.Cut(lines.Text(), " ")
		if got, _, _ := strings.Cut(series, "{"); !ok || got != name {
			continue
		}
		if i := strings.LastIndexByte(lines.Text(), ' '); i >= 0 {
			value = lines.Text()[i+1:] // a label's value may have spaces
		}
		n, err := strconv.ParseFloat(value, 64)
		if err == nil {
			sum += n
		}
	}
	return sum
}
