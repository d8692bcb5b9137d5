package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "mkdocs:", err)
		os.Exit(1)
	}
}

// run writes what is out of date below root, and removes manual pages of commands that are gone.
func run(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(root, name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, files[name]) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
		fmt.Println("wrote", name)
	}
	stale, err := stalePages(root, files)
	if err != nil {
		return err
	}
	for _, name := range stale {
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			return err
		}
		fmt.Println("removed", name)
	}
	return nil
}

// generate returns every generated file, by its path below root, as it should be.
func generate(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	parts, err := parts(root)
	if err != nil {
		return nil, err
	}
	screens, shots, err := takeScreens(root)
	if err != nil {
		return nil, err
	}
	maps.Copy(parts, screens)
	maps.Copy(files, shots)
	pages, err := markdown(root)
	if err != nil {
		return nil, err
	}
	for _, name := range pages {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		out, err := fill(string(text), parts)
		if err == nil {
			out, err = runExamples(root, out)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = []byte(out)
	}
	for name, args := range pictures {
		out, _, err := nscope(root, args)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = []byte(out)
	}
	return files, manual(files)
}

// parts are the generated parts of pages, by the name in their marker.
func parts(root string) (map[string]string, error) {
	snapshot, err := snapshotTables(filepath.Join(root, "inspect/snapshot"))
	if err != nil {
		return nil, err
	}
	graph, err := graphTables(filepath.Join(root, "topo/graph.go"))
	if err != nil {
		return nil, err
	}
	faults, err := faultTable(root)
	if err != nil {
		return nil, err
	}
	modules, err := moduleTable(root)
	if err != nil {
		return nil, err
	}
	out, err := outputTables(root)
	if err != nil {
		return nil, err
	}
	maps.Copy(out, map[string]string{"snapshot": snapshot, "graph": graph, "modules": modules, "faults": faults})
	return out, nil
}

// markdown lists the pages, README.md among them.
func markdown(root string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		return nil, err
	}
	out := []string{"README.md"}
	for _, f := range found {
		out = append(out, "docs/"+filepath.Base(f))
	}
	return out, nil
}

// fill replaces what is between "<!-- generated: NAME -->" and "<!-- end -->".
func fill(text string, parts map[string]string) (string, error) {
	const open, end = "<!-- generated: ", "<!-- end -->"
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, open)
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, rest, ok := strings.Cut(rest, " -->")
		part, known := parts[name]
		if !ok || !known {
			return "", fmt.Errorf("nothing is generated as %q", name)
		}
		_, after, ok := strings.Cut(rest, end)
		if !ok {
			return "", fmt.Errorf("no %s after %q", end, open+name)
		}
		fmt.Fprintf(&b, "%s%s -->\n\n%s\n%s", open, name, part, end)
		text = after
	}
}

// stalePages are manual pages on disk that no command has.
func stalePages(root string, files map[string][]byte) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(root, manDir, "*.1"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range found {
		if name := manDir + "/" + filepath.Base(f); files[name] == nil {
			out = append(out, name)
		}
	}
	return out, nil
}
