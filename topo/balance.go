package topo

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// balances draws the sandboxes that hold the service's VIP, and returns the marks by which they balance. An address on a
// link there proves it. Where the kernel has no such address (it lacks IPVS, or the address was lost) the network's own
// sandbox is still the one in which the engine means to balance: that is its claim. The mark is the one that a packet to
// the VIP gets from the rules there, where the load balancer has an entry for it.
func (b *builder) balances(s *svc) (marks []uint32) {
	for _, sp := range b.allSpaces() {
		if sp.role != RoleLoadBalancer && sp.role != RoleIngress || sp.netID == "" {
			continue
		}
		for _, v := range s.vips {
			if !strings.HasPrefix(v.network, sp.netID) {
				continue // another swarm may have the same address
			}
			a := EdgeAttrs{Source: SourceEngine, Address: v.addr.String(), Network: b.netName(s, v.network)}
			for _, l := range sp.links {
				if !slices.ContainsFunc(l.l.Addrs, func(a snapshot.Addr) bool { return a.Prefix.Addr() == v.addr && a.Prefix.IsSingleIP() }) {
					continue
				}
				a.Source = ""
				if !sp.rulesRead() || sp.ns.IPVS == nil {
					continue
				}
				mark, by, known := sp.markOf(side{hook: "prerouting", in: l, src: clientOf(v.addr), dst: v.addr}, 6, probedPort)
				entry := sp.virtual(mark, "tcp", netip.AddrPortFrom(v.addr, probedPort))
				switch {
				case !known:
					a.Note = "which mark its packets get is not known"
				case entry == nil:
					a.Note = "IPVS has no entry for it"
				default:
					a.Mark, a.Scheduler, a.Rule = entry.FWMark, entry.Scheduler, by
				}
				if a.Mark != 0 && !slices.Contains(marks, a.Mark) {
					marks = append(marks, a.Mark)
				}
			}
			b.edge(EdgeBalances, sp.node, s.node, a)
		}
	}
	slices.Sort(marks)
	return marks
}

// notATask is the note of a backend that only IPVS has: the service's members are its tasks.
const notATask = "no task of the service"

// probedPort is the one with which a VIP is asked for whose service has none published: Docker marks by address alone.
const probedPort = 80

// backends draws service → container. What IPVS has proves it: an entry by the service's mark sends to an address that
// a container has, as packets from the balancer arrive. What only the engine says of a member is its claim.
func (b *builder) backends() {
	for _, s := range b.svcs {
		read := map[string]bool{}   // networks whose balancer was read
		proven := map[string]bool{} // "<container> <address>"
		for _, e := range b.g.In(s.node, EdgeBalances) {
			sp := b.spaces[e.From]
			entry := sp.marked(e.Attrs.Mark)
			if e.Attrs.Mark == 0 || entry == nil {
				continue
			}
			read[e.Attrs.Network] = true
			for _, d := range entry.Destinations {
				w := b.g.memberAt(sp, d.Addr)
				if w == nil {
					continue
				}
				proven[w.node+" "+d.Addr.String()] = true
				a := EdgeAttrs{Address: d.Addr.String(), Network: e.Attrs.Network, Weight: int(d.Weight), Mark: e.Attrs.Mark}
				if len(s.tasks) > 0 && !slices.Contains(s.tasks, w) {
					a.Note = notATask
				}
				b.edge(EdgeBackend, s.node, w.node, a)
			}
		}
		b.claimedBackends(s, read, proven)
	}
}

// claimedBackends draws the members that IPVS does not prove, by network: those of endpoint mode dnsrr among them.
func (b *builder) claimedBackends(s *svc, read, proven map[string]bool) {
	nets := s.networks()
	for _, w := range s.tasks {
		if !live(w.w) {
			continue
		}
		n := 0
		for i := range w.w.Endpoints {
			ep := &w.w.Endpoints[i]
			if !nets[ep.Network] || !ep.Addr.IsValid() && !ep.Addr6.IsValid() {
				continue
			}
			n++
			addr := ep.Addr.Addr()
			if !ep.Addr.IsValid() {
				addr = ep.Addr6.Addr()
			}
			if proven[w.node+" "+addr.String()] {
				continue
			}
			a := EdgeAttrs{Source: SourceEngine, Address: addr.String(), Network: b.netName(s, ep.Network)}
			if read[a.Network] {
				a.Note = "IPVS does not have it"
			}
			b.edge(EdgeBackend, s.node, w.node, a)
		}
		if n == 0 {
			b.edge(EdgeBackend, s.node, w.node, EdgeAttrs{Source: SourceEngine})
		}
	}
}

// marked is the load balancer's entry for a mark, nil for none.
func (sp *space) marked(mark uint32) *snapshot.IPVSService {
	if sp == nil || sp.ns.IPVS == nil || mark == 0 {
		return nil
	}
	for i := range sp.ns.IPVS.Services {
		if v := &sp.ns.IPVS.Services[i]; v.FWMark == mark {
			return v
		}
	}
	return nil
}

// arriveFrom is the namespace in which packets that one sends to an address arrive, with the link there; nil where that
// is not known.
func (g *Graph) arriveFrom(sp *space, a netip.Addr) (*space, *link) {
	n, ok := g.Node(sp.node)
	if !ok {
		return nil, nil
	}
	got := g.reachOf(n).arrive(a.Unmap())
	if len(got.links) == 0 || !g.reachOf(n).oneNetns(got.links) {
		return nil, nil
	}
	l := g.index().raw[got.links[0].ID].link
	if l == nil {
		return nil, nil
	}
	return l.sp, l
}

// memberAt is the container that runs in the namespace where packets to an address arrive.
func (g *Graph) memberAt(sp *space, a netip.Addr) *work {
	to, _ := g.arriveFrom(sp, a)
	if to == nil || to.role == RoleHost || to.role == RoleNode || len(to.work) == 0 {
		return nil
	}
	return ownerOf(to)
}
