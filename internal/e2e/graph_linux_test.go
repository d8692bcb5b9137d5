package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// run runs nscope and returns both streams; it must end with the given code.
func run(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	return finish(t, code, exec.Command(binary(t), args...))
}

// runAsNobody is run without root.
func runAsNobody(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	return finish(t, code, cmd)
}

func finish(t *testing.T, code int, cmd *exec.Cmd) (string, string) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%s: exit code %d, want %d (%v)\n%s%s", strings.Join(cmd.Args, " "), got, code, err, out.String(), errOut.String())
	}
	return out.String(), errOut.String()
}

// parseGraph reads what `topo -o json` printed.
func parseGraph(t *testing.T, out string) *topo.Graph {
	t.Helper()
	var g topo.Graph
	if err := json.Unmarshal([]byte(out), &g); err != nil {
		t.Fatalf("%v: %.300s", err, out)
	}
	return &g
}

// load reads a snapshot that nscope wrote.
func load(t *testing.T, path string) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readable lets nobody read what root wrote.
func readable(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.Chmod(p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// openTemp is a folder that everybody may enter.
func openTemp(t *testing.T) string {
	t.Helper()
	dir, remove, err := nettest.ScratchDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	return dir
}

func node(t *testing.T, g *topo.Graph, id string) *topo.Node {
	t.Helper()
	n, ok := g.Node(id)
	if !ok {
		t.Fatalf("no node %s", id)
	}
	return n
}

// edges of a kind that have a certain end in the lab, as "from to".
func (o *oracle) edges(g *topo.Graph, kind topo.EdgeKind) map[string]int {
	out := map[string]int{}
	for _, e := range g.Edges {
		if e.Kind == kind && (o.ours(e.From) || o.ours(e.To)) {
			out[e.From+" "+e.To]++
		}
	}
	return out
}

// ours tells whether a link or namespace is in one of the lab's.
func (o *oracle) ours(id string) bool {
	for _, prefix := range []string{"link:" + o.boot + ":", "netns:" + o.boot + ":"} {
		if rest, ok := strings.CutPrefix(id, prefix); ok {
			var ino uint64
			if n, _ := fmt.Sscan(strings.Split(rest, "/")[0], &ino); n == 1 {
				return o.spaces[ino] != nil
			}
		}
	}
	return false
}

// sameSet reports what is missing and what is too much.
func sameSet(t *testing.T, what string, got map[string]int, want map[string]bool) {
	t.Helper()
	var wrong, missing []string
	for k, n := range got {
		if !want[k] {
			wrong = append(wrong, k)
		} else if n != 1 {
			t.Errorf("%s: %s is there %d times", what, k, n)
		}
	}
	for k := range want {
		if got[k] == 0 {
			missing = append(missing, k)
		}
	}
	slices.Sort(wrong)
	slices.Sort(missing)
	if len(wrong)+len(missing) > 0 {
		t.Errorf("%s: wrong %q\nmissing %q", what, wrong, missing)
	}
}

// checkWires compares everything that the kernel tells of the lab with the truth: each link once, in its namespace and as
// `ip` describes it, every pair, every port. unseen is a namespace that the view cannot enter (0: none).
func (o *oracle) checkWires(t *testing.T, g *topo.Graph, unseen uint64) {
	t.Helper()
	in, veth, ports := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for ino, s := range o.spaces {
		if ino == unseen {
			continue
		}
		ns, ok := g.Node(o.nsID(ino))
		if !ok {
			t.Errorf("netns %d (%s) is missing", ino, s.path)
			continue
		}
		if ns.Attrs.Inode != ino {
			t.Errorf("netns %d: %+v", ino, ns)
		}
		for _, l := range s.links {
			at := end{ino, l.Index}
			in[o.linkID(at)+" "+o.nsID(ino)] = true
			if p, ok := o.pairs[at]; ok && p.ino != unseen {
				veth[o.vethKey(at, p)] = true
			}
			if l.Master != "" {
				ports[o.linkID(at)+" "+o.linkID(end{ino, s.byName(l.Master).Index})] = true
			}
			o.checkLink(t, g, at, l)
		}
	}
	visible := func(kind topo.EdgeKind) map[string]int {
		got := o.edges(g, kind)
		for k := range got {
			if strings.Contains(k, ":via-") || strings.Contains(k, fmt.Sprintf(":%d/", unseen)) {
				delete(got, k)
			}
		}
		return got
	}
	sameSet(t, "in", visible(topo.EdgeIn), in)
	sameSet(t, "port", visible(topo.EdgePort), ports)
	gotVeth := visible(topo.EdgeVeth)
	sameSet(t, "veth", gotVeth, veth)
	// Where a pair leads out of the view, its other end is known by its MAC.
	for _, e := range g.Edges {
		if e.Kind != topo.EdgeVeth || !strings.Contains(e.From+e.To, ":via-") {
			continue
		}
		out, inside := e.From, e.To
		if strings.Contains(inside, ":via-") {
			out, inside = inside, out
		}
		for a, b := range o.pairs {
			if o.linkID(a) == inside && node(t, g, out).Attrs.MAC != o.spaces[b.ino].links[b.index].MAC {
				t.Errorf("%s is said to be wired to %+v, not to %+v", inside, node(t, g, out), o.spaces[b.ino].links[b.index])
			}
		}
	}
}

// vethKey is a pair as the graph writes it: the lower id first.
func (o *oracle) vethKey(a, b end) string {
	x, y := o.linkID(a), o.linkID(b)
	return min(x, y) + " " + max(x, y)
}

func (o *oracle) checkLink(t *testing.T, g *topo.Graph, at end, l *oLink) {
	t.Helper()
	n, ok := g.Node(o.linkID(at))
	if !ok {
		return // said by the edges
	}
	mac := l.MAC
	if l.Info.Kind == "" && l.Name == "lo" {
		mac = n.Attrs.MAC
	}
	if n.Name != l.Name || n.Attrs.Ifindex != l.Index || n.Attrs.MAC != mac || n.Attrs.MTU != l.MTU || n.Attrs.Netns != o.nsID(at.ino) {
		t.Errorf("link %s: %+v, want %+v", n.ID, n, l)
	}
	if kind := l.Info.Kind; kind != "" && n.Attrs.Type != kind || n.Attrs.VNI != l.Info.Data.ID && kind == "vxlan" {
		t.Errorf("link %s: type %s vni %d, want %+v", n.ID, n.Attrs.Type, n.Attrs.VNI, l.Info)
	}
	var want []string
	for _, a := range l.Address {
		want = append(want, fmt.Sprintf("%s/%d", a.Local, a.Prefix))
	}
	got := slices.Clone(n.Attrs.Addrs)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(slices.Compact(got), slices.Compact(want)) {
		t.Errorf("link %s %s: addresses %q, want %q", n.ID, n.Name, got, want)
	}
}

// wires are the edges that the kernel alone proves, one a line.
func wires(t *testing.T, o *oracle, g *topo.Graph) string {
	t.Helper()
	var b strings.Builder
	for _, e := range g.Edges {
		switch e.Kind {
		case topo.EdgeIn, topo.EdgeVeth, topo.EdgePort, topo.EdgeParent, topo.EdgeUnderlay, topo.EdgeTunnel:
			if o.ours(e.From) || o.ours(e.To) {
				line, err := json.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				b.Write(line)
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// noGaps fails on gaps other than of engines that do not answer.
func noGaps(t *testing.T, g *topo.Graph, o *oracle, allow ...string) {
	t.Helper()
	engines := map[string]bool{}
	for _, e := range g.Edges {
		if e.Kind == topo.EdgeRunsIn && o.ours(e.To) {
			engines["engine "+node(t, g, e.From).Attrs.EngineID] = true
		}
	}
	for _, gap := range g.Gaps {
		if strings.HasPrefix(gap.Reader, "engine ") && !engines[gap.Reader] {
			continue
		}
		if gap.Namespace != "" && !o.ours("netns:"+o.boot+":"+gap.Namespace.Short()) {
			continue // another lab's on this machine
		}
		if !slices.ContainsFunc(allow, func(s string) bool { return strings.Contains(gap.Reader+": "+gap.Error, s) }) {
			t.Errorf("gap: %+v", gap)
		}
	}
}
