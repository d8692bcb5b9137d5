package podman

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/snapshot"
)

// network is /etc/containers/networks/<name>.json and an element of GET /libpod/networks/json (containers/common's
// libnetwork/types.Network).
type network struct {
	Name             string            `json:"name"`
	ID               string            `json:"id"`
	Driver           string            `json:"driver"`
	NetworkInterface string            `json:"network_interface"`
	Internal         bool              `json:"internal"`
	IPv6             bool              `json:"ipv6_enabled"`
	Labels           map[string]string `json:"labels"`
	Options          map[string]string `json:"options"`
	Subnets          []subnet          `json:"subnets"`
}

type subnet struct {
	Subnet  string `json:"subnet"`
	Gateway string `json:"gateway"`
}

func (n *network) convert(source string) snapshot.Network {
	out := snapshot.Network{
		ID: n.ID, Name: n.Name, Driver: n.Driver, Scope: "local", Internal: n.Internal, IPv6: n.IPv6,
		Options: n.Options, Labels: n.Labels, Subnets: []snapshot.Subnet{}, VNIs: []uint32{}, Peers: []snapshot.NetworkPeer{}, Source: source,
	}
	if out.Options == nil {
		out.Options = map[string]string{}
	}
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	for _, s := range n.Subnets {
		if p, err := netip.ParsePrefix(s.Subnet); err == nil {
			gw, _ := netip.ParseAddr(s.Gateway)
			out.Subnets = append(out.Subnets, snapshot.Subnet{Subnet: p, Gateway: gw})
		}
	}
	switch n.Driver {
	case "bridge":
		out.Bridge = n.NetworkInterface
	case "macvlan", "ipvlan":
		out.Parent = cmp.Or(n.NetworkInterface, n.Options["parent"])
	}
	return out
}

// conflist is /etc/cni/net.d/*.conflist as Podman writes it: an interface's plugin comes first.
type conflist struct {
	Name    string `json:"name"`
	Plugins []struct {
		Type   string `json:"type"`
		Bridge string `json:"bridge"`
		Master string `json:"master"`
		IPAM   struct {
			Ranges [][]subnet `json:"ranges"`
		} `json:"ipam"`
	} `json:"plugins"`
}

const maxNetwork = 1 << 20

// networks reads the networks' files. The default network (podman) has none unless it was changed.
func networks(root host.Root) []snapshot.Network {
	var list []snapshot.Network
	const dir = "/etc/containers/networks"
	names, _ := root.ReadDir(dir)
	for _, name := range names {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		data, err := root.ReadFile(path.Join(dir, name), maxNetwork)
		if err != nil {
			continue
		}
		if n, ok := parseNetwork(data); ok {
			list = append(list, n)
		}
	}
	const cni = "/etc/cni/net.d"
	names, _ = root.ReadDir(cni)
	for _, name := range names {
		// Podman's own: others here are a kubelet's.
		if !strings.HasSuffix(name, ".conflist") || !strings.Contains(name, "podman") {
			continue
		}
		data, err := root.ReadFile(path.Join(cni, name), maxNetwork)
		if err != nil {
			continue
		}
		if n, ok := parseConflist(data); ok && !slices.ContainsFunc(list, func(have snapshot.Network) bool { return have.Name == n.Name }) {
			list = append(list, n)
		}
	}
	return list
}

func parseNetwork(data []byte) (snapshot.Network, bool) {
	var n network
	if json.Unmarshal(data, &n) != nil || n.Name == "" {
		return snapshot.Network{}, false
	}
	return n.convert("state"), true
}

func parseConflist(data []byte) (snapshot.Network, bool) {
	var c conflist
	if json.Unmarshal(data, &c) != nil || c.Name == "" || len(c.Plugins) == 0 {
		return snapshot.Network{}, false
	}
	p := c.Plugins[0]
	n := network{Name: c.Name, Driver: p.Type, NetworkInterface: cmp.Or(p.Bridge, p.Master)}
	for _, r := range p.IPAM.Ranges {
		n.Subnets = append(n.Subnets, r...)
	}
	return n.convert("state"), true
}
