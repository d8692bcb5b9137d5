package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/nscope/nscope/"

// direction is design.md §2: what each package may import of this module. The longest prefix that fits a package counts;
// an entry covers its subpackages, and a package may always import its own.
var direction = map[string][]string{
	"cmd":               {""}, // everything
	"tui":               {"fixtures", "capture", "topo", "inspect"},
	"fixtures":          {"probe", "inspect/netns", "inspect/snapshot", "internal/nlwire", "internal/labfile", "internal/kmod"},
	"fixtures/peer":     {},
	"fixtures/netlab":   {"inspect/netns", "inspect/snapshot"},
	"capture":           {"topo", "inspect/netns", "inspect/snapshot"},
	"probe":             {"inspect/netns", "inspect/rtnl", "inspect/snapshot"}, // rtnl: which way a packet would leave FROM
	"inspect":           {"inspect", "internal/nlwire", "internal/kmod"},
	"inspect/snapshot":  {},
	"inspect/netns":     {"inspect/snapshot"},
	"inspect/rtnl":      {"inspect/snapshot", "internal/nlwire"},
	"inspect/sockdiag":  {"inspect/snapshot", "internal/nlwire", "internal/kmod"},
	"inspect/procnet":   {"inspect/snapshot"},
	"inspect/netfilter": {"inspect/snapshot", "internal/nlwire", "internal/kmod"},
	"inspect/ipvs":      {"inspect/snapshot", "internal/nlwire", "internal/kmod"},
	"inspect/conntrack": {"inspect/snapshot", "internal/nlwire", "internal/kmod"},
	"inspect/bpf":       {"inspect/snapshot"},
	"inspect/watch":     {"inspect/snapshot", "inspect/rtnl", "internal/nlwire", "internal/kmod"},
	"inspect/engine":    {"inspect/snapshot", "inspect/netns", "internal/labfile"},
	"topo":              {"inspect/snapshot"},
	"internal":          {},
	"internal/labfile":  {}, // what a lab is written down as: labs write it, the engines' reader reads it
	"internal/kmod":     {}, // which modules a question would load
	"internal/nlwire":   {}, // the netlink transport of readers and of labs
	"internal/mkdocs":   {"cmd", "tui", "inspect/snapshot"},
	"internal/e2e":      {""}, // tests of everything together
	"internal/bench":    {""},
	"internal/vmtest":   {""}, // the same in a virtual machine

	// What packages are made by.
	"internal/artifact":  {},
	"internal/mkimage":   {"internal/artifact"},
	"internal/mkrelease": {"cmd", "internal/artifact"},
}

// owners says which package alone may import a library: by the library's path, prefixes of packages.
var owners = map[string][]string{
	"github.com/vishvananda/netns":   {"inspect/netns"},
	"github.com/vishvananda/netlink": {"inspect/rtnl", "fixtures", "internal/e2e"}, // the latter two make links, they do not read them
	"os/exec":                        {"inspect/netns", "fixtures", "internal/artifact", "internal/mkrelease", "cmd/exec.go", "cmd/terminal_linux.go"},
}

// calls are functions that only some packages may call: what switches a thread's namespace, and what in a library does so
// by itself (design.md §6.1).
var calls = []struct {
	pkg, name string
	only      []string
	why       string
}{
	{"golang.org/x/sys/unix", "Setns", []string{"inspect/netns"}, "only inspect/netns switches namespaces"},
	{"golang.org/x/sys/unix", "Unshare", []string{"inspect/netns"}, "only inspect/netns switches namespaces"},
	{"syscall", "Unshare", []string{"inspect/netns"}, "only inspect/netns switches namespaces"},
	{"golang.org/x/sys/unix", "CLONE_NEWNET", []string{"inspect/netns", "fixtures"}, "only inspect/netns switches namespaces"},
	{"golang.org/x/sys/unix", "SYS_SETNS", []string{"inspect/netns"}, "only inspect/netns switches namespaces"},
	{"github.com/google/nftables", "WithNetNSFd", nil, "it switches namespaces by itself: use nftables.New(AsLasting()) inside netns.Do"},
	{"github.com/vishvananda/netlink", "NewHandleAt", nil, "it switches namespaces by itself: open inside netns.Do"},
	{"github.com/vishvananda/netlink", "NewHandleAtFrom", nil, "it switches namespaces by itself: open inside netns.Do"},
	{"github.com/vishvananda/netlink/nl", "GetNetlinkSocketAt", nil, "it switches namespaces by itself: open inside netns.Do"},
	{"github.com/vishvananda/netlink/nl", "SubscribeAt", nil, "it switches namespaces by itself: open inside netns.Do"},
	{"github.com/moby/ipvs", "New", nil, "it switches namespaces and loads modules"},
	{"os", "Exit", []string{"cmd/nscope/main.go", "internal/archlint/main.go", "internal/mkimage/main.go", "internal/mkrelease/main.go", "internal/mkdocs/main.go", "fixtures/peer/peerlab", "fixtures/demo/main.go", "inspect/netns/nettest"}, "the only os.Exit is in main"},
	{"log", "Fatal", nil, "return an error"},
	{"log", "Fatalf", nil, "return an error"},
	{"log", "Fatalln", nil, "return an error"},
}

// check reads every Go file below dir and returns the breaches, sorted, and how many files were read.
func check(dir string) (found []string, files int, err error) {
	fset := token.NewFileSet()
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != dir && (strings.HasPrefix(name, ".") || name == "testdata" || name == "vendor") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		found = append(found, checkFile(fset, filepath.ToSlash(rel), f)...)
		return nil
	})
	slices.Sort(found)
	return found, files, err
}

func checkFile(fset *token.FileSet, rel string, f *ast.File) (found []string) {
	test := strings.HasSuffix(rel, "_test.go")
	breach := func(pos token.Pos, format string, args ...any) {
		found = append(found, fmt.Sprintf("%s:%d: %s", rel, fset.Position(pos).Line, fmt.Sprintf(format, args...)))
	}
	aliases := map[string]string{} // local name → import path
	for _, im := range f.Imports {
		p, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			continue
		}
		local := path.Base(p)
		if im.Name != nil {
			local = im.Name.Name
		}
		aliases[local] = p
		if local == "." {
			breach(im.Pos(), "dot import of %s hides what it calls", p)
		}
		if sub, ok := strings.CutPrefix(p, module); ok && !mayImport(path.Dir(rel), sub, test) {
			breach(im.Pos(), "%s may not import %s (design: one direction of imports)", path.Dir(rel), sub)
		}
		for lib, only := range owners {
			if (p == lib || strings.HasPrefix(p, lib+"/")) && !within(rel, only) && !(test && lib == "os/exec") {
				breach(im.Pos(), "only %s may import %s", strings.Join(only, ", "), lib)
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, c := range calls {
			if aliases[x.Name] != c.pkg || sel.Sel.Name != c.name || within(rel, c.only) {
				continue
			}
			if test && c.pkg == "os" { // a test's TestMain exits
				continue
			}
			breach(sel.Pos(), "%s.%s: %s", c.pkg, c.name, c.why)
		}
		return true
	})
	return found
}

// within tells whether a file is one of, or lies in one of, the given paths.
func within(rel string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return rel == p || strings.HasPrefix(rel, p+"/") })
}

func mayImport(pkg, imported string, test bool) bool {
	best, allowed := "", []string(nil)
	for p, list := range direction {
		if (pkg == p || strings.HasPrefix(pkg, p+"/")) && len(p) >= len(best) {
			best, allowed = p, list
		}
	}
	if best == "" {
		return false // a new top-level package states its direction here first
	}
	if test && (imported == "inspect/netns/nettest" || imported == "internal/seed" || within(imported, []string{"fixtures"})) {
		// Tests stand on labs, real engines and namespaces of their own, and begin with a number.
		return true
	}
	if within(imported, []string{best}) || within(imported, []string{pkg}) {
		return true
	}
	return slices.ContainsFunc(allowed, func(p string) bool { return p == "" || within(imported, []string{p}) })
}
