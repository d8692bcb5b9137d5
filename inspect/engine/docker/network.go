package docker

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// networkDoc is a network as GET /networks and /networks/<id> answer.
type networkDoc struct {
	Name, Id, Scope, Driver                               string
	EnableIPv6, Internal, Attachable, Ingress, ConfigOnly bool
	IPAM                                                  struct {
		Config []struct{ Subnet, IPRange, Gateway string }
	}
	Options, Labels map[string]string
	Peers           []struct{ Name, IP string }
}

func (d *networkDoc) convert(source string) snapshot.Network {
	n := snapshot.Network{
		ID: d.Id, Name: d.Name, Driver: d.Driver, Scope: d.Scope,
		Internal: d.Internal, Attachable: d.Attachable, Ingress: d.Ingress, IPv6: d.EnableIPv6,
		Options: notNil(d.Options), Labels: notNil(d.Labels),
		Subnets: []snapshot.Subnet{}, Peers: []snapshot.NetworkPeer{}, VNIs: []uint32{},
		Source: source,
	}
	for _, c := range d.IPAM.Config {
		if s := parsePrefix(c.Subnet); s.IsValid() {
			n.Subnets = append(n.Subnets, snapshot.Subnet{Subnet: s, Gateway: addr(c.Gateway), IPRange: parsePrefix(c.IPRange)})
		}
	}
	for _, p := range d.Peers {
		if a := addr(p.IP); a.IsValid() {
			n.Peers = append(n.Peers, snapshot.NetworkPeer{Name: p.Name, Addr: a})
		}
	}
	slices.SortFunc(n.Peers, func(a, b snapshot.NetworkPeer) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Name, b.Name))
	})
	carry(&n)
	return n
}

// Options of moby's network drivers (libnetwork/netlabel, drivers/overlay, drivers/macvlan).
const (
	optBridge    = "com.docker.network.bridge.name"
	optVNIs      = "com.docker.network.driver.overlay.vxlanid_list"
	optEncrypted = "encrypted"
	optParent    = "parent"
)

// carry derives what carries a network from its driver and options.
//
// The names that an engine makes up where the user gives none: br-<12 of id> (drivers/bridge), and for a macvlan or ipvlan
// without a parent a dummy link, dm-<12> (drivers/macvlan/macvlan_network.go) or di-<12> (drivers/ipvlan).
func carry(n *snapshot.Network) {
	id := short(n.ID)
	switch n.Driver {
	case "bridge":
		n.Bridge = cmp.Or(n.Options[optBridge], "br-"+id)
	case "macvlan":
		n.Parent = cmp.Or(n.Options[optParent], "dm-"+id)
	case "ipvlan":
		n.Parent = cmp.Or(n.Options[optParent], "di-"+id)
	case "overlay":
		// The option has the value "" or "true"; newer engines also accept "false".
		value, ok := n.Options[optEncrypted]
		n.Encrypted = ok && value != "false"
		n.VNIs = vnis(n.Options[optVNIs])
	}
}

func vnis(list string) []uint32 {
	ids := []uint32{}
	for text := range strings.SplitSeq(list, ",") {
		if id, err := strconv.ParseUint(strings.TrimSpace(text), 10, 24); err == nil {
			ids = append(ids, uint32(id))
		}
	}
	return ids
}
