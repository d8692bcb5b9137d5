package vmtest

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/ruleset/spell"
)

func (s *served) compare(t *testing.T, snap *snapshot.Snapshot) {
	for _, g := range snap.Gaps {
		t.Errorf("gap: %+v", g)
	}
	g := topo.Build(snap)
	svc, ok := g.Node("service:" + s.id)
	if !ok {
		t.Fatal("there is no service")
	}
	t.Run("ipvsadm", func(t *testing.T) { s.compareIPVS(t, snap, g) })
	t.Run("balancers", func(t *testing.T) { s.compareBalancers(t, g, svc) })
	t.Run("service", func(t *testing.T) { s.compareService(t, g, svc) })
	t.Run("find", func(t *testing.T) { s.compareFind(t, g, svc) })
}

// netnsOf is a namespace of the snapshot in the graph of it alone.
func netnsOf(g *topo.Graph, id snapshot.NSID) *topo.Node {
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == topo.KindNetns && strings.HasSuffix(n.ID, ":"+id.Short()) {
			return n
		}
	}
	return nil
}

// compareIPVS: the tables of IPVS, and nobody else has one; and all rules of the engine are understood.
func (s *served) compareIPVS(t *testing.T, snap *snapshot.Snapshot, g *topo.Graph) {
	found := 0
	for i := range snap.Namespaces {
		ns := &snap.Namespaces[i]
		n := netnsOf(g, ns.ID)
		for j := range ns.Netfilter.Tables {
			for _, c := range ns.Netfilter.Tables[j].Chains {
				for _, r := range c.Rules {
					if len(r.Unknown) > 0 {
						t.Errorf("%s: rule in %s: %v", ns.ID, c.Name, r.Unknown)
					}
				}
			}
		}
		if ns.IPVS == nil {
			continue
		}
		if n == nil || s.balancers[n.Name] == nil {
			t.Errorf("%s has %+v", ns.ID, ns.IPVS)
			continue
		}
		found++
		same(t, n.Name, ipvsBlocks(spell.IPVSAdm(ns.IPVS)), ipvsBlocks(s.balancers[n.Name].lines)...)
	}
	if found != len(s.balancers) {
		t.Errorf("%d namespaces balance", found)
	}
}

// compareBalancers: each VIP is held where it is, with its mark, and has the members that ipvsadm has.
func (s *served) compareBalancers(t *testing.T, g *topo.Graph, svc *topo.Node) {
	var got, want []string
	for name, b := range s.balancers {
		w := fmt.Sprintf("%s balances %s by mark %d, rr", name, b.vip, b.mark)
		want = append(want, w)
		for addr, id := range b.members {
			want = append(want, fmt.Sprintf("%s to %s %s weight 1 masq", w, addr, id))
		}
	}
	for _, b := range g.Balancers(svc) {
		w := fmt.Sprintf("%s balances %s by mark %d, %s", b.Netns.Name, b.VIP, b.Mark, b.Scheduler)
		got = append(got, w+b.Note)
		for _, m := range b.Members {
			id := ""
			if m.Container != nil {
				id = m.Container.Attrs.ContainerID
			}
			got = append(got, fmt.Sprintf("%s to %s %s weight %d %s%s", w, m.Addr, id, m.Weight, m.Method, m.Note))
		}
	}
	slices.Sort(got)
	same(t, "the balancers", got, want...)
}

// compareService: edges of the service are those of docker inspect, and proven.
func (s *served) compareService(t *testing.T, g *topo.Graph, svc *topo.Node) {
	var got, want []string
	for name, b := range s.balancers {
		role := topo.RoleLoadBalancer
		if name == "ingress_sbox" {
			role = topo.RoleIngress
			want = append(want, fmt.Sprintf("8000 by mesh, mark %d", b.mark))
		}
		want = append(want, fmt.Sprintf("%s balances %s, mark %d", role, b.vip, b.mark))
		for addr, id := range b.members {
			want = append(want, fmt.Sprintf("overlay member %s at %s, mark %d", id, addr, b.mark))
		}
	}
	add := func(e *topo.Edge, format string, a ...any) {
		text := fmt.Sprintf(format, a...)
		got = append(got, text)
		if e.Attrs.Source != "" || e.Attrs.Note != "" {
			t.Errorf("that %s is not proven: %q %s", text, e.Attrs.Source, e.Attrs.Note)
		}
	}
	for _, e := range g.In(svc.ID, topo.EdgeBalances) {
		n, _ := g.Node(e.From)
		add(e, "%s balances %s, mark %d", n.Attrs.Role, e.Attrs.Address, e.Attrs.Mark)
	}
	for _, e := range g.Out(svc.ID, topo.EdgeBackend) {
		n, _ := g.Node(e.To)
		add(e, "%s member %s at %s, mark %d", n.Attrs.Mode, n.Attrs.ContainerID, e.Attrs.Address, e.Attrs.Mark)
	}
	for _, e := range g.Out(svc.ID, topo.EdgePublishes) {
		add(e, "%d by %s, mark %d", e.Attrs.HostPort, e.Attrs.By, e.Attrs.Mark)
	}
	slices.Sort(got)
	same(t, "the service", got, want...)
}

var ipv4 = regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+\b`)

// compareFind: a VIP, and a mark either way, find the service, the mark and exactly the members.
func (s *served) compareFind(t *testing.T, g *topo.Graph, svc *topo.Node) {
	for name, b := range s.balancers {
		for _, what := range []string{b.vip.String(), fmt.Sprint("mark:", b.mark), fmt.Sprintf("mark:0x%x", b.mark)} {
			hits, err := g.Find(what)
			if err != nil {
				t.Errorf("%s in %s: %v", what, name, err)
				continue
			}
			found := false
			for _, h := range hits {
				t.Logf("%s: %s: %s", what, h.Why, h.Sentence)
				if h.Node != svc {
					continue
				}
				found = true
				s.compareSentence(t, what, h.Sentence, name, b)
			}
			if !found {
				t.Errorf("find %s does not find the service", what)
			}
		}
	}
}

// compareSentence: it names the service, the mark, hexadecimal and decimal, the VIP and exactly the members.
func (s *served) compareSentence(t *testing.T, what, sentence, name string, b *balancer) {
	t.Helper()
	for _, part := range []string{name, "service web", fmt.Sprintf("0x%x (%d)", b.mark, b.mark)} {
		if !strings.Contains(sentence, part) {
			t.Errorf("find %s: %q is not in %q", what, part, sentence)
		}
	}
	want := []string{b.vip.String()}
	for addr := range b.members {
		want = append(want, addr.String())
	}
	got := ipv4.FindAllString(sentence, -1)
	slices.Sort(got)
	same(t, "addresses that find "+what+" names", slices.Compact(got), want...)
}

// compareDiffering: a member that IPVS has lost, and one that the engine does not know, are shown as such. It is the last: the
// swarm is broken then.
func (s *served) compareDiffering(t *testing.T) {
	want := map[string][]string{}
	for name, b := range s.balancers {
		members := slices.Collect(maps.Keys(b.members))
		lost, octets := members[0], members[0].As4()
		octets[3] = 99
		stranger := netip.AddrFrom4(octets)
		for _, args := range [][]string{{"-d", "-r", lost.String()}, {"-a", "-m", "-r", stranger.String()}} {
			if _, err := s.in(t, name, append([]string{"ipvsadm", args[0], "-f", fmt.Sprint(b.mark)}, args[1:]...)...); err != nil {
				t.Fatal(err)
			}
		}
		want[name] = []string{lost.String() + " IPVS does not have it", stranger.String() + " the engine has no running task there"}
		for _, m := range members[1:] {
			want[name] = append(want[name], m.String()+" ")
		}
	}
	snap, err := inspect.Collect(t.Context(), inspect.WithTimeout(time.Minute), inspect.WithDepth(inspect.Topology))
	if err != nil {
		t.Fatal(err)
	}
	g := topo.Build(snap)
	svc, ok := g.Node("service:" + s.id)
	if !ok {
		t.Fatal("there is no service")
	}
	for _, b := range g.Balancers(svc) {
		var got []string
		for _, m := range b.Members {
			got = append(got, m.Addr.String()+" "+m.Note)
		}
		slices.Sort(got)
		same(t, "members in "+b.Netns.Name, got, want[b.Netns.Name]...)
		delete(want, b.Netns.Name)
	}
	if len(want) > 0 {
		t.Errorf("nothing balances as in %v", want)
	}
}
