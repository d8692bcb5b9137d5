package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// structType is one type of the schema: what its comment says, and its fields.
type structType struct {
	name, doc string
	fields    []field
}

// field is one member of a JSON object.
type field struct {
	goName, name, typ string
	// empty is what is left out where the field has it ("0", "false" …), "" where the field is always there.
	empty string
	doc   string
	group string // the heading over it, as in NodeAttrs
}

// source is a parsed package: its struct types, its string types, and the constants of these.
type source struct {
	structs map[string]*structType
	consts  map[string][]constant // by type, or for untyped ones by their common prefix
}

type constant struct{ value, doc string }

// parseFiles reads the struct types and constants of Go files.
func parseFiles(files ...string) (*source, error) {
	s := &source{structs: map[string]*structType{}, consts: map[string][]constant{}}
	fset := token.NewFileSet()
	for _, name := range files {
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if st, ok := spec.Type.(*ast.StructType); ok && spec.Name.IsExported() {
						s.addStruct(spec.Name.Name, text(g.Doc), st)
					}
				case *ast.ValueSpec:
					s.addConst(g, spec)
				}
			}
		}
	}
	return s, nil
}

func (s *source) addConst(g *ast.GenDecl, v *ast.ValueSpec) {
	if g.Tok != token.CONST || !g.Lparen.IsValid() || len(v.Values) != 1 {
		return
	}
	lit, ok := v.Values[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return
	}
	key := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text(g.Doc)), "The "), ".")
	s.consts[key] = append(s.consts[key], constant{strings.Trim(lit.Value, `"`), text(v.Comment)})
}

// groups are comments that stand over a part of a struct's fields and are about none of them.
var groups = []string{"netns", "link", "container", "network", "service", "vtep"}

func (s *source) addStruct(name, doc string, st *ast.StructType) {
	t := &structType{name: name, doc: doc}
	group := ""
	for _, f := range st.Fields.List {
		tag := ""
		if f.Tag != nil {
			tag = reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
		}
		if len(f.Names) == 0 { // embedded: its fields are this one's
			t.fields = append(t.fields, field{typ: typeName(f.Type), goName: "embedded"})
			continue
		}
		jsonName, opts, _ := strings.Cut(tag, ",")
		if jsonName == "" || jsonName == "-" || !f.Names[0].IsExported() {
			continue
		}
		doc := strings.TrimSpace(text(f.Doc))
		if first, rest, _ := strings.Cut(doc, "\n"); slices.Contains(groups, first) {
			group, doc = first, rest
		}
		if c := text(f.Comment); c != "" {
			doc = strings.TrimSpace(doc + " " + c)
		}
		n := field{goName: f.Names[0].Name, name: jsonName, typ: typeName(f.Type), doc: doc, group: group}
		if opts == "omitempty" || opts == "omitzero" {
			n.empty = emptyOf(f.Type)
		}
		t.fields = append(t.fields, n)
	}
	// A comment may speak of the fields after it: "MTU, AdvMSS are route metrics".
	for i := range t.fields {
		for j := i - 1; j >= 0 && t.fields[i].doc == ""; j-- {
			if wordIn(t.fields[j].doc, t.fields[i].goName) {
				t.fields[i].doc = "see `" + t.fields[j].name + "`"
			}
		}
	}
	for i, f := range t.fields {
		if f.doc == "" {
			t.fields[i].doc = meaning(name, f.name)
		}
		t.fields[i].doc = opening(f.goName).ReplaceAllString(t.fields[i].doc, "")
	}
	s.structs[name] = t
}

// opening is how a Go comment begins and a table's cell need not: "Cookie is ", "Mode: ".
func opening(goName string) *regexp.Regexp {
	return regexp.MustCompile(`^` + regexp.QuoteMeta(goName) + `(:| is| are| says| holds| lists) `)
}

func wordIn(text, word string) bool {
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(word) + `\b`).MatchString(text)
}

func text(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	return strings.TrimSpace(c.Text())
}

// typeName is a Go type as the schema calls it. Names of struct types are left as they are, in brackets.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.ArrayType:
		return "list of " + typeName(e.Elt)
	case *ast.MapType:
		return "object of " + typeName(e.Value)
	case *ast.SelectorExpr:
		switch name := e.X.(*ast.Ident).Name + "." + e.Sel.Name; name {
		case "netip.Addr":
			return "address"
		case "netip.Prefix":
			return "prefix"
		case "netip.AddrPort":
			return "address:port"
		case "time.Time":
			return "time"
		default:
			return "[" + e.Sel.Name + "]"
		}
	case *ast.Ident:
		switch e.Name {
		case "string", "Kind", "EdgeKind", "ChangeOp", "ChangeKind":
			return "string"
		case "bool":
			return "boolean"
		case "float32", "float64":
			return "number"
		case "NSID":
			return "[netns id](#netns-id)"
		}
		if strings.HasPrefix(e.Name, "int") || strings.HasPrefix(e.Name, "uint") {
			return "integer"
		}
		return "[" + e.Name + "]"
	}
	return fmt.Sprintf("%T", e)
}

func emptyOf(e ast.Expr) string {
	if _, ok := e.(*ast.StarExpr); ok {
		return "none"
	}
	switch t := typeName(e); {
	case t == "boolean":
		return "false"
	case t == "integer", t == "number":
		return "0"
	case strings.HasPrefix(t, "list"), strings.HasPrefix(t, "object"):
		return "empty"
	}
	return "none"
}

var link = regexp.MustCompile(`\[([A-Z][A-Za-z]*)(?:\.([A-Za-z]+))?\]`)

// prose makes a Go comment one paragraph of Markdown; names of types become links, other names in brackets plain code.
func (s *source) prose(doc string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	doc = strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(doc)
	return link.ReplaceAllStringFunc(doc, func(m string) string {
		sub := link.FindStringSubmatch(m)
		t := s.structs[sub[1]]
		switch {
		case t != nil && sub[2] == "":
			return s.ref(sub[1])
		case t != nil:
			for _, f := range t.fields {
				if f.goName == sub[2] {
					return fmt.Sprintf("`%s` of %s", f.name, s.ref(sub[1]))
				}
			}
		}
		return "`" + strings.Trim(m, "[]") + "`"
	})
}

func (s *source) ref(name string) string {
	return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
}

func (s *source) table(b *strings.Builder, t *structType) {
	fmt.Fprintf(b, "### %s\n\n", t.name)
	doc := regexp.MustCompile(`\[Snapshot\.[A-Za-z]+\]`).ReplaceAllString(t.doc, "")
	fmt.Fprintf(b, "%s\n\n", s.prose(doc))
	b.WriteString("| field | type | left out when | meaning |\n|---|---|---|---|\n")
	group := ""
	for _, f := range t.fields {
		if f.goName == "embedded" {
			fmt.Fprintf(b, "| | | | and the fields of %s |\n", s.prose(f.typ))
			continue
		}
		if f.group != group {
			group = f.group
			fmt.Fprintf(b, "| **%s** | | | |\n", group)
		}
		empty := f.empty
		if empty == "" {
			empty = "never"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.name, s.prose(f.typ), empty, s.prose(f.doc))
	}
	b.WriteByte('\n')
}

func (s *source) list(b *strings.Builder, key string) {
	b.WriteString("| value | meaning |\n|---|---|\n")
	for _, c := range s.consts[key] {
		fmt.Fprintf(b, "| `%s` | %s |\n", c.value, s.prose(c.doc))
	}
	b.WriteByte('\n')
}

// from lists a type and what its fields lead to, in the order in which they are met.
func (s *source) from(name string) []string {
	var out []string
	var visit func(string)
	visit = func(name string) {
		t := s.structs[name]
		if t == nil || slices.Contains(out, name) {
			return
		}
		out = append(out, name)
		for _, f := range t.fields {
			for _, m := range link.FindAllStringSubmatch(f.typ, -1) {
				visit(m[1])
			}
		}
	}
	visit(name)
	return out
}

// snapshotTables describes every type of a snapshot.
func snapshotTables(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
	s, err := parseFiles(files...)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range s.from("Snapshot") {
		s.table(&b, s.structs[name])
		if name == "Holder" {
			b.WriteString("The values of `kind`:\n\n")
			s.list(&b, "kinds of [Holder]")
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n", nil
}

// outputs are what other commands write, each with the files of its types, in the order of the page.
var outputs = []struct {
	part, top string
	files     []string
}{
	{"packets", "Object", []string{"capture/text/json.go"}},
	{"flows", "Report", []string{"capture/flow/report.go", "capture/flow/table.go"}},
	{"diff", "DiffOutput", []string{"cmd/diff.go", "topo/diff.go"}},
}

// outputTables describes the types of the outputs, by part.
func outputTables(root string) (map[string]string, error) {
	out := map[string]string{}
	for _, o := range outputs {
		var files []string
		for _, f := range o.files {
			files = append(files, filepath.Join(root, f))
		}
		s, err := parseFiles(files...)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		for _, name := range s.from(o.top) {
			s.table(&b, s.structs[name])
			if name == "Change" {
				var kinds []string
				for _, c := range s.consts["kinds of changes, in the order in which they are told"] {
					kinds = append(kinds, "`"+c.value+"`")
				}
				fmt.Fprintf(&b, "The values of `kind`, in the order in which they are told: %s.\n\n", strings.Join(kinds, ", "))
			}
		}
		out[o.part] = strings.TrimRight(b.String(), "\n") + "\n"
	}
	return out, nil
}

// graphTables describes the types of a graph.
func graphTables(file string) (string, error) {
	s, err := parseFiles(file)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range []string{"Graph", "GraphHost", "Node", "NodeAttrs", "Edge", "EdgeAttrs", "Gap"} {
		t := *s.structs[name]
		if name == "Gap" { // the snapshot has a type of that name
			t.name = "GraphGap"
		}
		s.table(&b, &t)
	}
	return strings.TrimRight(strings.ReplaceAll(b.String(), "list of [Gap](#gap)", "list of [GraphGap](#graphgap)"), "\n") + "\n", nil
}
