package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is one that this repository's own files import, or that is a tool of it.
type module struct {
	path, version string
	tool          bool
	// code and tests are the folders whose files import it, the latter in tests only.
	code, tests []string
}

// modules reads go.mod and every file's imports. What only other modules import is left out.
func modules(root string) ([]*module, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	all := map[string]*module{}
	var tools []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "//")
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "tool":
			tools = append(tools, f[1])
		case len(f) == 3 && f[0] == "require":
			all[f[1]] = &module{path: f[1], version: f[2]}
		case len(f) == 2 && strings.HasPrefix(line, "\t") && strings.HasPrefix(f[1], "v"):
			all[f[0]] = &module{path: f[0], version: f[1]}
		}
	}
	of := func(pkg string) *module { // the longest path wins
		for p := pkg; p != "." && p != "/"; p = filepath.Dir(p) {
			if m := all[p]; m != nil {
				return m
			}
		}
		return nil
	}
	direct := map[*module]bool{}
	for _, t := range tools {
		if m := of(t); m != nil {
			m.tool, direct[m] = true, true
		}
	}
	fset := token.NewFileSet()
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			pkg, _ := strconv.Unquote(im.Path.Value)
			m := of(pkg)
			if m == nil {
				continue
			}
			direct[m] = true
			if strings.HasSuffix(p, "_test.go") {
				m.tests = append(m.tests, rel)
			} else {
				m.code = append(m.code, rel)
			}
		}
		return nil
	})
	var out []*module
	for m := range direct {
		m.code, m.tests = set(m.code), set(m.tests)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *module) int { return strings.Compare(a.path, b.path) })
	return out, err
}

func set(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// moduleTable is the list of direct modules for docs/dependencies.md.
func moduleTable(root string) (string, error) {
	all, err := modules(root)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| module | version | imported by |\n|---|---|---|\n")
	for _, m := range all {
		by := "tests only: " + code(m.tests)
		switch {
		case m.tool:
			by = "a tool, not in the program"
		case len(m.code) > 0:
			by = code(m.code)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m.path, m.version, by)
	}
	return b.String(), nil
}

func code(list []string) string { return "`" + strings.Join(list, "`, `") + "`" }
