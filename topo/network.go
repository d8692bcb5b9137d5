package topo

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// netw is one network of an engine. An overlay is one network wherever it is seen; a local one is of one engine.
type netw struct {
	key   netKey
	views []netView // the best first
	node  string
	name  string
}

type netView struct {
	src *source
	eng *engine
	n   *snapshot.Network
}

type netKey struct {
	kind, id string
	k        *kernel // nil for a network that spans hosts
	home     *space  // only for engines whose ids are not random
}

func (n *netw) best() *snapshot.Network { return n.views[0].n }

// spans reports whether a network reaches over hosts: then its id is one everywhere.
func spans(n *snapshot.Network) bool {
	return n.Scope == "swarm" || n.Scope == "global" || n.Driver == "overlay"
}

// collectNetworks merges the engines' networks, and adds those that only a container's endpoint names.
func (b *builder) collectNetworks() {
	b.netIdx = map[netKey]*netw{}
	for _, s := range b.sources {
		for i := range s.snap.Networks {
			n := &s.snap.Networks[i]
			e := s.engine(n.Engine)
			if n.ID == "" {
				continue
			}
			b.addView(netView{src: s, eng: e, n: n})
		}
	}
	overlays := b.overlayPrefixes()
	for _, w := range b.work {
		for _, v := range w.all {
			for i := range v.w.Endpoints {
				ep := &v.w.Endpoints[i]
				kind := kindOfEngine(v.eng, v.w.Engine)
				if ep.Network == "" || kind != "docker" || b.findNet(v.src.k, v.eng, kind, ep.Network) != nil {
					continue
				}
				n := &snapshot.Network{Engine: v.w.Engine, ID: ep.Network, Name: ep.NetworkName, Source: v.w.Source, Scope: "local"}
				switch {
				case slices.ContainsFunc(overlays, func(p string) bool { return strings.HasPrefix(n.ID, p) }):
					n.Driver, n.Scope = "overlay", "swarm"
				case n.Name == "bridge" || n.Name == "host": // names that Docker keeps for these
					n.Driver = n.Name
				case n.Name == "none":
					n.Driver = "null"
				case v.eng != nil && v.eng.home != nil && len(n.ID) > 12:
					if l := v.eng.home.byName["br-"+n.ID[:12]]; l != nil && l.l.Kind == "bridge" {
						n.Driver, n.Bridge = "bridge", l.l.Name
					}
				}
				b.addView(netView{src: v.src, eng: v.eng, n: n})
			}
		}
	}
	for _, n := range b.netIdx {
		slices.SortStableFunc(n.views, compareNetViews)
		n.name = n.best().Name
		for _, v := range n.views {
			n.name = cmp.Or(n.name, v.n.Name)
		}
		n.name = cmp.Or(n.name, shortID(n.key.id))
		b.nets = append(b.nets, n)
	}
	b.nameNetworkNodes()
	slices.SortFunc(b.nets, func(x, y *netw) int { return strings.Compare(x.node, y.node) })
	for _, w := range b.work {
		w.nets = make([]*netw, len(w.w.Endpoints))
		for i := range w.w.Endpoints {
			w.nets[i] = b.netOf(w, &w.w.Endpoints[i])
		}
	}
}

func (s *source) engine(id string) *engine {
	for _, e := range s.engines {
		if e.e.ID == id {
			return e
		}
	}
	return nil
}

func kindOfEngine(e *engine, id string) string {
	if e != nil {
		return e.e.Kind
	}
	kind, _, _ := strings.Cut(id, "@")
	kind, _, _ = strings.Cut(kind, "#")
	return kind
}

func (b *builder) addView(v netView) {
	k := netKey{kind: kindOfEngine(v.eng, v.n.Engine), id: v.n.ID}
	if !spans(v.n) {
		k = localKey(v.src.k, v.eng, k.kind, k.id)
	}
	n := b.netIdx[k]
	if n == nil {
		n = &netw{key: k}
		b.netIdx[k] = n
	}
	n.views = append(n.views, v)
}

func compareNetViews(x, y netView) int {
	filled := func(n *snapshot.Network) int { return len(n.Subnets) + len(n.VNIs) + len(n.Peers) }
	return cmp.Or(cmp.Compare(rank(sourceRank, x.n.Source), rank(sourceRank, y.n.Source)), cmp.Compare(filled(y.n), filled(x.n)),
		y.src.snap.Taken.Compare(x.src.snap.Taken), strings.Compare(x.src.place, y.src.place), strings.Compare(x.n.Engine, y.n.Engine),
		strings.Compare(asJSON(x.n), asJSON(y.n)))
}

// localKey is the key of a network of one host. Podman's, CNI's and labs' ids are the name or its hash, the same for every engine: one whose
// namespace is not known has none of another's.
func localKey(k *kernel, e *engine, kind, id string) netKey {
	key := netKey{kind: kind, id: id, k: k}
	if kind != "docker" && e != nil {
		key.home = e.home
	}
	return key
}

// findNet finds a network by its id as an engine says it.
func (b *builder) findNet(k *kernel, e *engine, kind, id string) *netw {
	if n := b.netIdx[netKey{kind: kind, id: id}]; n != nil {
		return n
	}
	return b.netIdx[localKey(k, e, kind, id)]
}

// netOf finds the network of a container's endpoint: by id, else by its name among those of the same engine.
func (b *builder) netOf(w *work, ep *snapshot.Endpoint) *netw {
	for _, v := range w.all {
		if ep.Network == "" {
			break
		}
		if n := b.findNet(v.src.k, v.eng, kindOfEngine(v.eng, v.w.Engine), ep.Network); n != nil {
			return n
		}
	}
	if ep.NetworkName == "" || ep.Network != "" {
		return nil
	}
	return b.netByName(w, ep.NetworkName)
}

// netByName finds a network of the workload's own engine by name, id or start of the id; nil where several match.
func (b *builder) netByName(w *work, name string) *netw {
	for _, v := range w.all {
		var found []*netw
		for i := range v.src.snap.Networks {
			n := &v.src.snap.Networks[i]
			if n.Engine != v.w.Engine || n.Name != name && n.ID != name {
				continue
			}
			if m := b.findNet(v.src.k, v.eng, kindOfEngine(v.eng, n.Engine), n.ID); m != nil && !slices.Contains(found, m) {
				found = append(found, m)
			}
		}
		if len(found) == 1 {
			return found[0]
		}
	}
	return nil
}

// overlayPrefixes are the starts of network ids that netns files of overlays name.
func (b *builder) overlayPrefixes() []string {
	seen := map[string]bool{}
	for _, sp := range b.allSpaces() {
		for _, h := range sp.ns.Holders {
			if h.Kind != snapshot.HolderMount || !b.dockerFile(h.Path) {
				continue
			}
			if base := path.Base(h.Path); len(base) == 12 {
				if m := overlayFile.FindStringSubmatch(base); m != nil {
					seen[m[2]] = true
				}
			}
		}
	}
	return sortedKeys(seen)
}

// networkByPrefix finds the Docker network that an overlay's or load balancer's file names.
func (b *builder) networkByPrefix(sp *space, prefix string) *netw {
	var found []*netw
	for _, n := range b.nets {
		if (n.key.kind == "docker" || n.key.kind == kindLab) && strings.HasPrefix(n.key.id, prefix) && spans(n.best()) {
			found = append(found, n)
		}
	}
	if len(found) > 1 {
		b.gap(sp.src, sp.id, "networks", fmt.Sprintf("%d networks have an id that starts with %s: which one %s serves cannot be told", len(found), prefix, sp.dockerName), "")
		return nil
	}
	if len(found) == 1 {
		return found[0]
	}
	return nil
}

// nameNetworkNodes gives the ids. Docker draws them at random; those of other engines are qualified by the kernel, and
// for a nested engine by its home.
func (b *builder) nameNetworkNodes() {
	byID := map[string][]*netw{}
	for _, n := range b.nets {
		id := n.key.id
		if n.key.k != nil && n.key.kind != "docker" {
			if h := n.key.home; h != nil && h.home {
				id = h.id.Short() + "-" + id
			}
			id = n.key.k.id + "-" + id
		}
		n.node = "network:" + n.key.kind + ":" + id
		byID[n.node] = append(byID[n.node], n)
	}
	for _, ns := range byID {
		if len(ns) < 2 {
			continue
		}
		for _, n := range ns { // a cloned machine's networks, or two nodes of one kernel read from within
			id := n.key.id
			if n.key.home != nil {
				id = n.key.home.id.Short() + "-" + id
			}
			if n.key.k != nil {
				n.node = "network:" + n.key.kind + ":" + n.key.k.id + "-" + id
			}
		}
	}
}

// addNetworks makes the network nodes.
func (b *builder) addNetworks() {
	for _, n := range b.nets {
		v := n.views[0]
		a := NodeAttrs{Engine: n.key.kind, EngineID: v.n.Engine, NetworkID: v.n.ID, Driver: v.n.Driver, Scope: v.n.Scope, Internal: v.n.Internal,
			Encrypted: v.n.Encrypted, Source: v.n.Source}
		for _, s := range v.n.Subnets {
			if s.Subnet.IsValid() {
				a.Subnets = append(a.Subnets, s.Subnet.String())
			}
			if s.Gateway.IsValid() {
				a.Gateways = append(a.Gateways, s.Gateway.String())
			}
		}
		a.Subnets, a.Gateways = sortAddrs(a.Subnets), sortAddrs(a.Gateways)
		for _, v := range n.views {
			a.VNIs = append(a.VNIs, v.n.VNIs...)
		}
		if len(a.VNIs) == 0 {
			a.VNIs = b.vnisOf(n)
		}
		slices.Sort(a.VNIs)
		a.VNIs = slices.Compact(a.VNIs)
		if len(a.VNIs) == 1 {
			a.VNI = a.VNIs[0]
		}
		host := ""
		if !spans(v.n) {
			host = v.src.place
			if v.eng != nil {
				host = v.eng.place
			}
		}
		b.node(Node{ID: n.node, Kind: KindNetwork, Name: n.name, Host: host, Attrs: a}, raw{src: v.src, net: n})
	}
}

// vnisOf reads an overlay's VNIs off the vxlans in its namespaces.
func (b *builder) vnisOf(n *netw) (out []uint32) {
	for _, sp := range b.allSpaces() {
		if sp.role != RoleOverlay || sp.net != n {
			continue
		}
		for _, l := range sp.links {
			if l.l.Vxlan != nil && l.l.Vxlan.VNI != 0 {
				out = append(out, l.l.Vxlan.VNI)
			}
		}
	}
	return out
}

// ingressNetworks finds the network of each ingress sandbox: its eth0 leads to the overlay namespace of it.
func (b *builder) ingressNetworks() {
	for _, sp := range b.allSpaces() {
		if sp.role != RoleIngress {
			continue
		}
		for _, l := range sp.links {
			if p := b.pairs[l]; p != nil && p.sp.role == RoleOverlay {
				sp.net, sp.netID = p.sp.net, p.sp.netID
			}
		}
		if sp.netID != "" {
			continue
		}
		var found []*netw
		for _, n := range b.nets {
			if n.best().Ingress {
				found = append(found, n)
			}
		}
		if len(found) == 1 {
			sp.net, sp.netID = found[0], found[0].key.id
		}
	}
}
