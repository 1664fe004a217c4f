package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// ruleset is what check holds packages to; tests of the checker bring their own.
type ruleset struct {
	mayImport, testSuites, doors map[string][]string
	testOnly, pure, impure       []string
	exemptions                   []exemption
}

func projectRules() ruleset {
	return ruleset{mayImport, testSuites, doors, testOnly, pure, impure, exemptions}
}

// checker collects violations and notes which exemptions were needed.
type checker struct {
	ruleset
	used  map[exemption]bool
	found []string
}

// check returns every violation, each naming the package or file and the rule.
// An exemption that nothing needs any more is a violation as well.
func check(pkgs []pkg, rules ruleset) []string {
	c := &checker{ruleset: rules, used: map[exemption]bool{}}
	for _, p := range pkgs {
		c.imports(p)
		c.testImports(p)
		c.leaks(p)
		for _, f := range p.files {
			c.file(p, f)
		}
	}
	for _, e := range c.exemptions {
		if !c.used[e] {
			c.found = append(c.found, fmt.Sprintf("%s: the exemption for %s is not needed any more", e.who, e.what))
		}
	}
	return c.found
}

// report notes a violation unless who is exempt from what.
func (c *checker) report(who, what, format string, a ...any) {
	for _, e := range c.exemptions {
		if e.who == who && e.what == what {
			c.used[e] = true
			return
		}
	}
	c.found = append(c.found, who+": "+fmt.Sprintf(format, a...))
}

func (c *checker) imports(p pkg) {
	allowed, listed := c.mayImport[p.name]
	if suite, ok := c.testSuites[p.name]; ok {
		allowed, listed = suite, true
	}
	if !listed {
		c.report(p.name, "mayImport", "is not listed in mayImport: say there what it may import")
	}
	_, isSuite := c.testSuites[p.name]
	for _, path := range p.imports {
		switch {
		case std(path):
		case ours(path):
			_, suite := c.testSuites[short(path)]
			if suite && !isSuite {
				c.report(p.name, short(path), "product code imports the test suite %s", short(path))
			} else if !suite && !slices.Contains(allowed, short(path)) {
				c.report(p.name, short(path), "imports %s, which mayImport does not list", short(path))
			}
		case slices.ContainsFunc(c.testOnly, func(t string) bool { return within(path, t) }):
			if !isSuite {
				c.report(p.name, path, "product code imports %s, which is for tests", path)
			}
		default:
			c.door(p, path, isSuite)
		}
	}
	if slices.Contains(c.pure, p.name) {
		for _, path := range p.imports {
			if slices.ContainsFunc(c.impure, func(i string) bool { return path == i || !std(i) && within(path, i) }) {
				c.report(p.name, path, "is pure, but imports %s", path)
			}
		}
	}
}

// door checks one import of a third party.
func (c *checker) door(p pkg, path string, isSuite bool) {
	for party, open := range c.doors {
		if !within(path, party) {
			continue
		}
		if open[0] != "*" && !slices.Contains(open, p.name) && !isSuite {
			c.report(p.name, party, "imports %s, whose door is %s", path, strings.Join(open, ", "))
		}
		return
	}
	c.report(p.name, path, "imports %s, which has no door", path)
}

// testImports: tests may reach further than the code they test, but only to what
// is known, and never to tools.
func (c *checker) testImports(p pkg) {
	for _, path := range p.testImports {
		known := func(t string) bool { return within(path, t) }
		switch {
		case std(path), slices.ContainsFunc(c.testOnly, known):
		case ours(path):
			_, suite := c.testSuites[short(path)]
			if within(short(path), "tools") && !suite && !within(p.name, "tools") && p.name != root {
				c.report(p.name, short(path), "its tests import %s; nobody but main imports tools", short(path))
			}
		default:
			open := false
			for party := range c.doors {
				open = open || within(path, party)
			}
			if !open {
				c.report(p.name, path, "its tests import %s, which is not in the rules", path)
			}
		}
	}
}

// leaks: a package that starts goroutines has a TestMain that looks for those
// which outlive their test.
func (c *checker) leaks(p pkg) {
	starts, looks := false, false
	for _, f := range p.files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				starts = starts || !f.test
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" && !f.test {
					starts = true
				}
			case *ast.FuncDecl:
				looks = looks || f.test && n.Name.Name == "TestMain"
			}
			return true
		})
	}
	if _, suite := c.testSuites[p.name]; starts && !looks && !suite {
		c.report(p.name, "goleak", "starts goroutines, but has no TestMain that looks for leaked ones")
	}
}
