package topo

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// virtual is a service that a namespace makes by rules or by IPVS and of which no engine tells: an address that is nobody's
// own, a port, and who is asked in its place. kube-proxy makes one for each port of a Kubernetes service.
type virtual struct {
	sp    *space
	at    netip.AddrPort
	proto string
	// name is what the rules call it, empty where they do not.
	name string
	// by is dnat or ipvs, rule the rule that takes what is sent to the address.
	by, scheduler, rule string
	// from are the senders for whom it is so, of rules.
	from    []string
	members []virtualMember
}

// virtualMember is one that is asked.
type virtualMember struct {
	to netip.AddrPort
	// share is the part of new connections that it gets, 0 where that is not known.
	share  float64
	weight int32
	method string
	active uint32
}

// The ways of balancing: see [EdgeAttrs.By].
const (
	byDNAT = "dnat"
	byIPVS = "ipvs"
)

func (v *virtual) id() string { return v.at.String() + "/" + v.proto }

// node is the id of its node: each namespace's own, as nothing proves that two namespaces mean the same service.
func (v *virtual) node() string {
	return "service:" + strings.TrimPrefix(v.sp.node, "netns:") + "/" + v.id()
}

// virtuals adds the services that rules and IPVS make, and the edges from the namespaces in which they do.
func (b *builder) virtuals() {
	for _, sp := range b.allSpaces() {
		all, cut := sp.virtualServices(b.candidates(sp).list, netip.Addr{}, maxFollowed)
		for _, v := range all {
			port := fmt.Sprintf("%d/%s", v.at.Port(), v.proto)
			b.node(Node{ID: v.node(), Kind: KindService, Name: cmp.Or(v.name, v.id()), Host: sp.place,
				Attrs: NodeAttrs{ServiceID: v.id(), VIPs: []string{v.at.Addr().String()}, Ports: []string{port}}}, raw{src: sp.src, virt: v})
			b.edge(EdgeBalances, sp.node, v.node(), EdgeAttrs{Address: v.at.Addr().String(), Proto: v.proto, HostPort: v.at.Port(), By: v.by,
				Scheduler: v.scheduler, Rule: v.rule, From: v.from})
			b.virts = append(b.virts, v)
		}
		if cut {
			b.gap(sp.src, sp.id, "services by rules", fmt.Sprintf("more than the first %d services of rules and IPVS are left out of the graph: nscope find ADDRESS tells of each", maxFollowed), "")
		}
	}
}

// virtualBackends draws service → whom it balances to. Who is not among what was read is an attribute of the service.
func (b *builder) virtualBackends() {
	for _, v := range b.virts {
		n, _ := b.g.Node(v.node())
		for _, m := range v.members {
			a := EdgeAttrs{Address: m.to.Addr().String(), TargetPort: m.to.Port(), Proto: v.proto, Weight: int(m.weight), Share: rounded(m.share)}
			to := b.g.answerer(v.sp, m.to.Addr())
			if to == nil {
				n.Attrs.Backends = append(n.Attrs.Backends, m.to.String())
				continue
			}
			b.edge(EdgeBackend, n.ID, to.ID, a)
		}
	}
}

// rounded keeps four digits of a share.
func rounded(share float64) float64 { return math.Round(share*1e4) / 1e4 }

// answerer is who answers packets that a namespace sends to an address: the container in the namespace where they arrive,
// or that namespace; nil where it is not known.
func (g *Graph) answerer(sp *space, a netip.Addr) *Node {
	ns, _ := g.arriveFrom(sp, a)
	if ns == nil {
		return nil
	}
	id := ns.node
	if ns.role != RoleHost && ns.role != RoleNode && len(ns.work) > 0 {
		id = ownerOf(ns).node
	}
	n, _ := g.Node(id)
	return n
}

// virtualServices are the services that rules (found are those that translate) and IPVS of a namespace make, at most so many,
// or those at one address.
func (sp *space) virtualServices(found []candidate, only netip.Addr, most int) (out []*virtual, cut bool) {
	seen := map[string]bool{}
	add := func(v *virtual) {
		switch {
		case v == nil || seen[v.id()]:
		case len(out) >= most:
			cut = true
		default:
			seen[v.id()] = true
			out = append(out, v)
		}
	}
	if sp.ns.IPVS != nil {
		for i := range sp.ns.IPVS.Services {
			v := &sp.ns.IPVS.Services[i]
			if v.FWMark == 0 && (!only.IsValid() || v.Addr == only) && !sp.isNodeAddr(v.Addr) {
				add(sp.balancedVirtual(v))
			}
		}
	}
	if !sp.rulesRead() {
		return out, cut
	}
	asked := map[string]bool{}
	for i := range found {
		c := &found[i]
		protos := []uint8{c.proto}
		if c.proto == 0 {
			protos = []uint8{ruleset.TCP, ruleset.UDP}
		}
		for _, p := range c.daddr {
			if a := p.Addr(); !p.IsSingleIP() || only.IsValid() && a != only || !a.IsGlobalUnicast() || sp.owns(a) {
				continue
			}
			for _, r := range c.dport {
				for _, proto := range protos {
					at := netip.AddrPortFrom(p.Addr(), uint16(r.From))
					key := fmt.Sprint(at, proto)
					if r.From != r.To || r.From == 0 || asked[key] {
						continue
					}
					if asked[key] = true; len(out) >= most {
						return out, true
					}
					v := sp.translatedVirtual(at, proto)
					if v != nil {
						v.name = serviceName(c)
					}
					add(v)
				}
			}
		}
	}
	return out, cut
}

// isNodeAddr tells whether an address is one by which the namespace itself is known outside: a service at it is a published
// port. The addresses of kube-proxy's dummy link and further ones of a director are the services' own.
func (sp *space) isNodeAddr(a netip.Addr) bool {
	for _, l := range sp.links {
		if l.l.Kind != "dummy" && hasAddr(l.l, a) && l.mainAddr(a.Is4()) == a {
			return true
		}
	}
	return false
}

// balancedPorts draws the ports of a namespace's own addresses that IPVS balances: the node ports of kube-proxy.
func (b *builder) balancedPorts(sp *space) {
	if sp.ns.IPVS == nil {
		return
	}
	for i := range sp.ns.IPVS.Services {
		v := &sp.ns.IPVS.Services[i]
		if v.FWMark != 0 || !sp.isNodeAddr(v.Addr) {
			continue
		}
		for _, d := range v.Destinations {
			if n := b.g.answerer(sp, d.Addr); n != nil && n.ID != sp.node {
				b.edge(EdgePublishes, n.ID, sp.node, EdgeAttrs{Proto: v.Protocol, HostAddr: v.Addr.String(), HostPort: v.Port, TargetPort: cmp.Or(d.Port, v.Port),
					Address: d.Addr.String(), By: byIPVS, Scheduler: v.Scheduler, Weight: int(d.Weight)})
			}
		}
	}
}

// balancedVirtual is what an entry of IPVS makes.
func (sp *space) balancedVirtual(e *snapshot.IPVSService) *virtual {
	v := &virtual{sp: sp, at: netip.AddrPortFrom(e.Addr, e.Port), proto: e.Protocol, by: byIPVS, scheduler: e.Scheduler}
	for _, d := range e.Destinations {
		v.members = append(v.members, virtualMember{to: netip.AddrPortFrom(d.Addr, d.Port), weight: d.Weight, method: d.Method, active: d.Active})
	}
	return v
}

// translatedVirtual is what rules make of packets to an address; nil where they translate them for nobody.
func (sp *space) translatedVirtual(at netip.AddrPort, proto uint8) *virtual {
	v := &virtual{sp: sp, at: at, proto: protoName(proto), by: byDNAT}
	for _, s := range sp.askers(at.Addr()) {
		got := sp.ask(s, proto, at.Port())
		if len(got.to) == 0 || slices.Contains(v.from, s.from) {
			continue
		}
		v.from = append(v.from, s.from)
		v.rule = cmp.Or(v.rule, got.via)
		for _, to := range got.to {
			i := slices.IndexFunc(v.members, func(m virtualMember) bool { return m.to == to })
			switch {
			case i < 0 && len(v.from) == 1:
				v.members = append(v.members, virtualMember{to: to, share: got.share[to]})
			case i < 0:
				v.members = append(v.members, virtualMember{to: to})
			case v.members[i].share != got.share[to]:
				v.members[i].share = 0 // it depends on who asks
			}
		}
		for i := range v.members {
			if !slices.Contains(got.to, v.members[i].to) {
				v.members[i].share = 0
			}
		}
	}
	if len(v.members) == 0 {
		return nil
	}
	slices.SortFunc(v.members, func(x, y virtualMember) int { return x.to.Compare(y.to) })
	return v
}

// maxAskers bounds how many bridges are told apart.
const maxAskers = 8

// askers are the senders to an address that is none of the namespace's own: itself, a client outside, whoever hangs on one
// of its bridges.
func (sp *space) askers(a netip.Addr) (out []side) {
	if r, ok := sp.rules().Route(ruleset.RouteQuery{Dst: a, OpenUID: true}); ok && r.Type == "unicast" {
		src := r.Source
		if !src.IsValid() {
			src = sp.byIdx[r.Out.Index].mainAddr(a.Is4())
		}
		if src.IsValid() {
			out = append(out, side{from: fromHost, hook: "output", src: src, dst: a})
		}
	}
	for _, l := range sp.uplinks() {
		out = append(out, side{from: fromOutside, hook: "prerouting", in: l, src: clientOf(a), dst: a})
	}
	n := 0
	for _, l := range sp.links {
		if l.l.Kind != "bridge" || slices.Contains(sp.uplinks(), l) || n >= maxAskers {
			continue
		}
		for _, x := range l.l.Addrs {
			if p := x.Prefix; p.Addr().Is4() == a.Is4() && !p.IsSingleIP() && !p.Addr().IsLinkLocalUnicast() {
				src := p.Masked().Addr().Next()
				if src == p.Addr() {
					src = src.Next()
				}
				out = append(out, side{from: "through " + l.l.Name, hook: "prerouting", in: l, src: src, dst: a})
				n++
				break
			}
		}
	}
	return out
}

var (
	// kubeComment is the comment of kube-proxy's rules: "default/web:http", "default/web:http cluster IP".
	kubeComment = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*(?::[a-z0-9-]+)?)(?: .*)?$`)
	// kubeEndpoint is a chain of kube-proxy's nftables mode: "endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80".
	kubeEndpoint = regexp.MustCompile(`^endpoint-[0-9A-Z]+-([^/]+/[^/]+)/[a-z]+/([^_]*)__`)
)

// serviceName is what a rule that translates says of the service that it translates for.
func serviceName(c *candidate) string {
	if m := kubeComment.FindStringSubmatch(c.chain.Rules[c.rule].Comment); m != nil {
		return m[1]
	}
	if m := kubeEndpoint.FindStringSubmatch(c.chain.Name); m != nil {
		return strings.TrimSuffix(m[1]+":"+m[2], ":")
	}
	return ""
}
