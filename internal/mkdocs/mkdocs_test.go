package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nscope/nscope/cmd"
)

const root = "../.."

// TestDocsAreCurrent: what is generated of the pages, the pictures and the manual pages is what is committed.
func TestDocsAreCurrent(t *testing.T) {
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Errorf("%v: run make docs", err)
			continue
		}
		if want := string(files[name]); string(got) != want {
			t.Errorf("%s is out of date: run make docs\n%s", name, firstDifference(string(got), want))
		}
	}
	stale, err := stalePages(root, files)
	if err != nil || len(stale) > 0 {
		t.Errorf("pages of commands that are gone: %v, %v", stale, err)
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "- " + g[i] + "\n+ " + w[i]
		}
	}
	return "one is longer"
}

// TestGenerationIsStable: the same input gives the same bytes.
func TestGenerationIsStable(t *testing.T) {
	a, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	b, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for name := range a {
		if string(a[name]) != string(b[name]) {
			t.Errorf("%s differs between two runs: %s", name, firstDifference(string(a[name]), string(b[name])))
		}
	}
}

// TestEveryFieldHasAMeaning: no cell of the schema is empty, and no meaning is left over.
func TestEveryFieldHasAMeaning(t *testing.T) {
	used := map[string]bool{}
	globs := [][]string{{"inspect/snapshot/*.go"}, {"topo/graph.go"}}
	for _, o := range outputs {
		globs = append(globs, o.files)
	}
	for _, some := range globs {
		var files []string
		for _, glob := range some {
			found, err := filepath.Glob(filepath.Join(root, glob))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, found...)
		}
		files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
		s, err := parseFiles(files...)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.structs) < 3 {
			t.Fatalf("%v: only %d types", some, len(s.structs))
		}
		for name, typ := range s.structs {
			for _, f := range typ.fields {
				if f.doc == "" && f.goName != "embedded" {
					t.Errorf("%s.%s has neither a comment nor a line in meanings.go", name, f.name)
				}
				used[name+"."+f.name], used["*."+f.name] = true, true
			}
		}
	}
	for key := range meanings {
		if !used[key] {
			t.Errorf("meanings.go: %s is no field", key)
		}
	}
}

// TestDependenciesAreExplained: each direct module has a section in docs/dependencies.md, in the right part, and no other.
func TestDependenciesAreExplained(t *testing.T) {
	all, err := modules(root)
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, "docs/dependencies.md")
	program, tests, ok := strings.Cut(text, "## For labs and tests only")
	if !ok {
		t.Fatal("no part for labs and tests")
	}
	for _, m := range all {
		inProgram := slices.ContainsFunc(m.code, func(dir string) bool {
			return !strings.HasPrefix(dir, "fixtures") && !strings.HasPrefix(dir, "internal")
		})
		part, name := tests, "the part for labs and tests"
		if inProgram {
			part, name = program, "the part for the program"
		}
		if !strings.Contains(part, "\n### "+m.path+"\n") {
			t.Errorf("docs/dependencies.md: no section %q in %s", m.path, name)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### (\S+\.\S+)$`).FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(all, func(x *module) bool { return x.path == m[1] }) {
			t.Errorf("docs/dependencies.md: %s is no direct module", m[1])
		}
	}
}

// TestCommandsAndFlagsExist: a page speaks of no command or flag of nscope that is not there.
func TestCommandsAndFlagsExist(t *testing.T) {
	top := cmd.Root()
	checked := 0
	for _, page := range pages(t) {
		for _, line := range commandLines(read(t, page)) {
			checked++
			if why := checkCommand(top, line); why != "" {
				t.Errorf("%s: %q: %s", page, line, why)
			}
		}
		for _, m := range regexp.MustCompile("`(--[a-z][a-z-]*)[ =`]").FindAllStringSubmatch(read(t, page), -1) {
			if !anyFlag(top, m[1][2:]) && !slices.Contains(foreignFlags, m[1]) {
				t.Errorf("%s: no command has the flag %s", page, m[1])
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d commands were found in the pages", checked)
	}
	for _, line := range []string{"nscope topology", "nscope ps --wide", "nscope --form x ps", "nscope ps -x"} { // the check itself
		if checkCommand(top, line) == "" {
			t.Errorf("%q passes", line)
		}
	}
}

// foreignFlags are other programs' flags that the pages mention.
var foreignFlags = []string{"--net", "--pid", "--cap-add", "--cap-drop", "--link", "--security-opt", "--userns", "--user", "--privileged", "--network", "--rm", "--volumes-from"}

func pages(t *testing.T) []string {
	t.Helper()
	out, err := markdown(root)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var call = regexp.MustCompile(`(?:^|[\s(])((?:docker |kubectl )?nscope(?: [^|;&)>]*)?)`)

// commandLines are the calls of nscope in code spans and in blocks that are shell.
func commandLines(text string) (out []string) {
	add := func(s string) {
		for _, m := range call.FindAllStringSubmatch(s, -1) {
			if line := strings.TrimSpace(m[1]); strings.Contains(line, " ") {
				out = append(out, line)
			}
		}
	}
	block, lang := false, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if rest, ok := strings.CutPrefix(line, "```"); ok {
			block, lang = !block, rest
			continue
		}
		switch {
		case !block:
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
				if strings.HasPrefix(m[1], "nscope ") || strings.HasPrefix(m[1], "sudo nscope ") {
					add(m[1])
				}
			}
		case lang == "console":
			if s, ok := strings.CutPrefix(line, "$ "); ok {
				add(s)
			}
		case lang == "sh" && !strings.HasPrefix(line, "#") && !strings.Contains(line, "docker run"):
			add(line)
		}
	}
	return out
}

// checkCommand tells what is wrong with a call of nscope, "" for nothing.
func checkCommand(top *cobra.Command, line string) string {
	words, err := split(line)
	if err != nil {
		words = strings.Fields(line) // a quote that goes on in the next line
	}
	for words[0] != "nscope" {
		words = words[1:]
	}
	c := top
	for i := 1; i < len(words); i++ {
		w := words[i]
		if w == "--" {
			break
		}
		if name, ok := strings.CutPrefix(w, "-"); ok && name != "" {
			f, value := lookup(c, name)
			if f == nil {
				return c.CommandPath() + " has no flag " + w
			}
			if f.NoOptDefVal == "" && !value {
				i++
			}
			continue
		}
		if c == top || c.HasSubCommands() {
			sub, _, err := c.Find([]string{w})
			if err != nil || sub == c {
				return "no command " + w
			}
			c = sub
			continue
		}
		if c.Name() == "exec" {
			break // what follows the target is another program's
		}
	}
	return ""
}

// lookup finds a flag by "-name", "-name=value" or "n", without the first dash, and whether its value is in the word.
func lookup(c *cobra.Command, name string) (*pflag.Flag, bool) {
	c.InitDefaultHelpFlag()
	name, _, value := strings.Cut(name, "=")
	long, ok := strings.CutPrefix(name, "-")
	for _, set := range []*pflag.FlagSet{c.Flags(), c.InheritedFlags(), c.PersistentFlags()} {
		if ok {
			if f := set.Lookup(long); f != nil {
				return f, value
			}
		} else if f := set.ShorthandLookup(name[:1]); f != nil {
			return f, value || len(name) > 1
		}
	}
	return nil, false
}

func anyFlag(c *cobra.Command, name string) bool {
	if f, _ := lookup(c, "-"+name); f != nil {
		return true
	}
	return slices.ContainsFunc(c.Commands(), func(sub *cobra.Command) bool { return anyFlag(sub, name) })
}

// TestLinksLead: every relative link of a page leads to a file, and every anchor to a heading.
func TestLinksLead(t *testing.T) {
	for _, page := range pages(t) {
		text := read(t, page)
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := page
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(page), file))
				if _, err := os.Stat(filepath.Join(root, target)); err != nil {
					t.Errorf("%s: %s leads nowhere", page, m[1])
					continue
				}
			}
			if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s: %s has no heading #%s", page, target, anchor)
			}
		}
	}
}

// anchors are those that GitHub makes of headings.
func anchors(text string) (out []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		s := strings.ToLower(strings.TrimSpace(m[1]))
		s = regexp.MustCompile(`[^\p{L}\p{N}\- _]`).ReplaceAllString(s, "")
		out = append(out, strings.ReplaceAll(s, " ", "-"))
	}
	return out
}
