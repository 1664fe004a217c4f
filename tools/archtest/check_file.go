package archtest

import (
	"go/ast"
	"slices"
	"strings"
)

// clockCalls ask for the time, or wait.
var clockCalls = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// globalMetrics use the process-wide registry, so two instances in one process,
// or two tests, would collide.
var globalMetrics = map[string][]string{
	"prometheus": {"MustRegister", "Register", "Unregister", "DefaultRegisterer", "DefaultGatherer"},
	"promhttp":   {"Handler"},
	"promauto": {"NewCounter", "NewCounterVec", "NewCounterFunc", "NewGauge", "NewGaugeVec", "NewGaugeFunc",
		"NewHistogram", "NewHistogramVec", "NewSummary", "NewSummaryVec"},
}

// file checks what can be seen in one file.
func (c *checker) file(p pkg, f file) {
	limit := fileLinesMax
	if f.test {
		limit = testFileLinesMax
	}
	if f.lines > limit && !ast.IsGenerated(f.ast) {
		c.report(f.path, "lines", "%d lines, want at most %d", f.lines, limit)
	}
	if f.test {
		return
	}
	isPure := slices.Contains(c.pure, p.name)
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			c.selector(f, n, isPure)
		case *ast.GoStmt:
			if isPure {
				c.report(f.path, "go", "is in a pure package, but starts a goroutine")
			}
		case *ast.FuncDecl:
			c.constructor(f, n)
		}
		return true
	})
}

// selector checks one pkg.Name.
func (c *checker) selector(f file, s *ast.SelectorExpr, isPure bool) {
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return
	}
	if isPure && x.Name == "time" && slices.Contains(clockCalls, s.Sel.Name) {
		c.report(f.path, "time."+s.Sel.Name, "is in a pure package, but calls time.%s", s.Sel.Name)
	}
	if slices.Contains(globalMetrics[x.Name], s.Sel.Name) {
		c.report(f.path, x.Name+"."+s.Sel.Name, "uses the global registry by %s.%s: take a prometheus.Registerer", x.Name, s.Sel.Name)
	}
}

// constructor: New returns something that does nothing yet; Run starts it. A
// goroutine that a constructor starts has no owner who waits for it.
func (c *checker) constructor(f file, d *ast.FuncDecl) {
	if d.Body == nil || d.Recv != nil || !strings.HasPrefix(d.Name.Name, "New") && !strings.HasPrefix(d.Name.Name, "new") {
		return
	}
	ast.Inspect(d.Body, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.FuncLit:
			return false // runs later, by its caller's decision
		case *ast.GoStmt:
			c.report(f.path, d.Name.Name, "the constructor %s starts a goroutine", d.Name.Name)
		}
		return true
	})
}
