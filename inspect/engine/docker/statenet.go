package docker

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/bolt"
	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/snapshot"
)

// storedNetwork is a network in <data-root>/network/files/local-kv.db, bucket "libnetwork", key
// docker/network/v1.0/network/<id>/ (moby's libnetwork/network.go, MarshalJSON). Swarm's networks are not in it.
type storedNetwork struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	NetworkType string            `json:"networkType"`
	Scope       string            `json:"scope"`
	EnableIPv6  bool              `json:"enableIPv6"`
	Internal    bool              `json:"internal"`
	Attachable  bool              `json:"attachable"`
	Ingress     bool              `json:"ingress"`
	ConfigOnly  bool              `json:"configOnly"`
	InDelete    bool              `json:"inDelete"`
	Labels      map[string]string `json:"labels"`
	Generic     struct {
		Options map[string]any `json:"com.docker.network.generic"`
	} `json:"generic"`
	// Lists as JSON in a string, in which IPAMData is JSON in a string once more.
	IPAMV4 string `json:"ipamV4Info"`
	IPAMV6 string `json:"ipamV6Info"`
}

const (
	kvBucket = "libnetwork"
	kvPrefix = "docker/network/v1.0/network/"
	// maxKV bounds local-kv.db; with 500 containers it has some 2 MB.
	maxKV = 64 << 20
)

// networks reads the local networks' database, and takes those of the swarm from the containers that are on them.
func (s *remains) networks(dir string, docs []document) []snapshot.Network {
	byID := map[string]snapshot.Network{}
	if dir != "" {
		if data, err := s.root.ReadFile(path.Join(dir, "network/files/local-kv.db"), maxKV); err == nil {
			for _, n := range parseNetworks(data) {
				byID[n.ID] = n
			}
		}
	}
	for i := range docs {
		for _, name := range host.SortedKeys(docs[i].NetworkSettings.Networks) {
			ep := docs[i].NetworkSettings.Networks[name]
			if ep == nil || ep.NetworkID == "" {
				continue
			}
			n, ok := byID[ep.NetworkID]
			if !ok {
				n = s.attached(ep.NetworkID, name)
			}
			if !ok || n.Scope == "swarm" {
				n.Subnets = addSubnet(addSubnet(n.Subnets, ep.IPAddress, ep.IPPrefixLen), ep.GlobalIPv6Address, ep.GlobalIPv6PrefixLen)
			}
			byID[ep.NetworkID] = n
		}
	}
	list := make([]snapshot.Network, 0, len(byID))
	for _, id := range host.SortedKeys(byID) {
		list = append(list, byID[id])
	}
	return list
}

// attached is a network known only because a container is on it. Swarm's ids have 25 letters, the engine's own 64 digits;
// the driver is taken for an overlay where the overlay's namespace is there ("<n>-<first 10 of the id>", domain of
// libnetwork/drivers/overlay/ov_network.go).
func (s *remains) attached(id, name string) snapshot.Network {
	n := (&networkDoc{Id: id, Name: name}).convert("state")
	if isID(id) {
		n.Scope = "local"
		return n
	}
	n.Scope = "swarm"
	n.Ingress = name == "ingress"
	dir := path.Join(first(s.d.execRoot, defaultExecRoot), "netns")
	names, _ := s.root.ReadDir(dir)
	if slices.ContainsFunc(names, func(file string) bool {
		_, short, ok := strings.Cut(file, "-")
		return ok && short == id[:min(10, len(id))] && s.v.Netns(s.root, path.Join(dir, file)) != ""
	}) {
		n.Driver = "overlay"
	}
	return n
}

// addSubnet adds the subnet of an endpoint's address.
func addSubnet(list []snapshot.Subnet, address string, bits int) []snapshot.Subnet {
	p := prefix(address, bits).Masked()
	if !p.IsValid() || slices.ContainsFunc(list, func(s snapshot.Subnet) bool { return s.Subnet == p }) {
		return list
	}
	return append(list, snapshot.Subnet{Subnet: p})
}

// parseNetworks reads local-kv.db. It returns what it can of a damaged one: the engine may be writing it.
func parseNetworks(data []byte) []snapshot.Network {
	var list []snapshot.Network
	_ = bolt.Walk(data, func(key, value []byte) error {
		if !strings.HasPrefix(string(key), kvPrefix) {
			return nil
		}
		// The value begins with the index of its last change, 8 bytes.
		if len(value) < 8 {
			return nil
		}
		var s storedNetwork
		if err := json.Unmarshal(value[8:], &s); err != nil || s.ID == "" || s.ConfigOnly || s.InDelete {
			return nil
		}
		list = append(list, s.convert())
		return nil
	}, kvBucket)
	return list
}

func (s *storedNetwork) convert() snapshot.Network {
	doc := networkDoc{
		Id: s.ID, Name: s.Name, Driver: s.NetworkType, Scope: cmp.Or(s.Scope, "local"), EnableIPv6: s.EnableIPv6,
		Internal: s.Internal, Attachable: s.Attachable, Ingress: s.Ingress, Labels: s.Labels, Options: map[string]string{},
	}
	for k, v := range s.Generic.Options {
		if text, ok := v.(string); ok {
			doc.Options[k] = text
		}
	}
	n := doc.convert("state")
	for _, list := range []string{s.IPAMV4, s.IPAMV6} {
		var infos []struct{ IPAMData string }
		if json.Unmarshal([]byte(list), &infos) != nil {
			continue
		}
		for _, info := range infos {
			var ipam struct{ Gateway, Pool string }
			if json.Unmarshal([]byte(info.IPAMData), &ipam) != nil {
				continue
			}
			if p := parsePrefix(ipam.Pool); p.IsValid() {
				n.Subnets = append(n.Subnets, snapshot.Subnet{Subnet: p, Gateway: addr(ipam.Gateway)})
			}
		}
	}
	return n
}

// swarm reads the engine's membership: docker-state.json has its address, the certificate its id and role (subject CN and OU).
func (s *remains) swarm(dir string) *snapshot.Swarm {
	if dir == "" {
		return nil
	}
	dir = path.Join(dir, "swarm")
	data, err := s.root.ReadFile(path.Join(dir, "certificates/swarm-node.crt"), maxConfig)
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || cert.Subject.CommonName == "" {
		return nil
	}
	sw := &snapshot.Swarm{
		NodeID: cert.Subject.CommonName, Manager: slices.Contains(cert.Subject.OrganizationalUnit, "swarm-manager"),
		State: "unknown", Nodes: []snapshot.SwarmNode{},
	}
	var state struct{ LocalAddr, AdvertiseAddr string }
	if data, err := s.root.ReadFile(path.Join(dir, "docker-state.json"), maxConfig); err == nil && json.Unmarshal(data, &state) == nil {
		sw.NodeAddr = hostOf(cmp.Or(state.AdvertiseAddr, state.LocalAddr))
	}
	return sw
}

// hostOf cuts a port off.
func hostOf(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}
