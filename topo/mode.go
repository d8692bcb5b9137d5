package topo

import (
	"cmp"
	"slices"
	"strings"
)

// setMode tells a container's network mode (domain.md §3): what the kernel shows where that is plain, else what the
// engine was told, else by how its namespace is wired.
func (b *builder) setMode(w *work) {
	cfg := w.w.Mode
	_, joined := strings.CutPrefix(cfg, "container:")
	home := w.ns != nil && w.eng != nil && (w.ns == w.eng.home || w.ns.role == RoleHost && w.eng.place == w.ns.place)
	switch {
	case home:
		w.mode = "host"
	case cfg == "none":
		w.mode = "none"
	case cfg == "pod" && w.w.Pod != nil && w.w.Pod.Sandbox:
		w.mode = cmp.Or(b.wiredMode(w), "cni") // the pod's namespace is its own
	case joined, cfg == "pod":
		w.mode = "container"
	case cfg == "host":
		if w.ns == nil || w.ns.role == RoleHost {
			w.mode = "host"
		} else if w.mode = b.wiredMode(w); w.mode == "" { // of a namespace that it joined: a pod's, a nested engine's
			w.mode = "host"
		}
	default:
		w.mode = cmp.Or(b.configuredMode(w), b.wiredMode(w))
	}
}

// configuredMode follows the engine's configuration to a network's driver.
func (b *builder) configuredMode(w *work) string {
	var main *netw
	if task := serviceOf(w.w) != "" || w.w.Task != ""; task {
		for _, n := range w.nets {
			if n != nil && n.best().Driver == "overlay" {
				return "overlay"
			}
		}
	}
	switch w.w.Mode {
	case "default", "bridge", "":
	default:
		main = b.netByName(w, w.w.Mode)
	}
	if main != nil && slices.Contains(w.nets, main) || main != nil && len(w.nets) == 0 {
		return driverMode(main)
	}
	// Of several networks the default bridge is the main one in the default mode; else the first by name.
	var nets []*netw
	for _, n := range w.nets {
		if n != nil {
			nets = append(nets, n)
		}
	}
	slices.SortFunc(nets, func(x, y *netw) int {
		bridge := func(n *netw) int {
			if (w.w.Mode == "default" || w.w.Mode == "bridge") && driverMode(n) == "bridge" {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(bridge(x), bridge(y)), strings.Compare(x.name, y.name), strings.Compare(x.node, y.node))
	})
	if len(nets) > 0 {
		return driverMode(nets[0])
	}
	if (w.w.Mode == "default" || w.w.Mode == "bridge") && w.kind() == "docker" && serviceOf(w.w) == "" {
		return "bridge"
	}
	return ""
}

// driverMode is the mode of a container whose main network this is.
func driverMode(n *netw) string {
	d := n.best()
	switch d.Driver {
	case "bridge":
		if n.key.kind != "docker" && n.key.kind != "podman" && n.key.kind != kindLab {
			return "cni"
		}
		if d.Name == "bridge" && n.key.kind == "docker" || d.Name == "podman" && n.key.kind == "podman" || d.Options["com.docker.network.bridge.default_bridge"] == "true" {
			return "bridge"
		}
		return "user-bridge"
	case "null":
		return "none"
	}
	return d.Driver
}

// wiredMode reads the mode off the namespace's links: where nothing but a cgroup or a bare namespace is known.
func (b *builder) wiredMode(w *work) string {
	if w.ns == nil {
		return ""
	}
	k := w.kind()
	return b.wiring(w.ns, w.w.Pod != nil || k == "crio" || k == "containerd")
}

func (b *builder) wiring(sp *space, pod bool) string {
	if len(sp.links) == 0 {
		return "" // not read
	}
	for _, h := range sp.ns.Holders {
		if strings.HasPrefix(h.Path[strings.LastIndexByte(h.Path, '/')+1:], "cni-") {
			pod = true
		}
	}
	found := map[string]bool{}
	plain := true
	for _, l := range sp.links {
		if l.l.Type == "loopback" || fallback(l.l) {
			continue
		}
		plain = false
		switch l.l.Kind {
		case "macvlan", "macvtap", "ipvlan", "ipvtap":
			found[strings.Replace(l.l.Kind, "vtap", "vlan", 1)] = true
		case "veth", "netkit":
			if m := l.master(); m != nil && m.l.Kind == "bridge" {
				continue // a switch's port, not what the namespace hangs on
			}
			found[b.vethMode(l, pod)] = true
		}
	}
	if plain {
		return "none"
	}
	for _, m := range []string{"overlay", "cni", "user-bridge", "bridge", "macvlan", "ipvlan", "veth"} {
		if found[m] {
			return m
		}
	}
	return ""
}

// vethMode is the mode that one veth speaks for, by where its other end is.
func (b *builder) vethMode(l *link, pod bool) string {
	p := b.pairs[l]
	if p == nil {
		return ""
	}
	if p.sp.role == RoleOverlay {
		return "overlay"
	}
	if pod {
		return "cni"
	}
	m := p.master()
	switch {
	case m == nil:
		return "veth"
	case m.l.Kind != "bridge", m.l.Name == "docker_gwbridge":
		return ""
	case strings.HasPrefix(m.l.Name, "br-") && len(m.l.Name) == 15:
		return "user-bridge"
	}
	return "bridge"
}
