package oci

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

// cacheDir is where libcni keeps what plugins answered (containernetworking/cni's libcni/api.go, CacheDir + "results").
const cacheDir = "/var/lib/cni/results"

// cached is one file <network>-<container>-<interface>.
type cached struct {
	Kind           string `json:"kind"`
	ContainerID    string `json:"containerId"`
	IfName         string `json:"ifName"`
	NetworkName    string `json:"networkName"`
	Netns          string `json:"netns"`
	CapabilityArgs struct {
		PortMappings []PortMapping `json:"portMappings"`
	} `json:"capabilityArgs"`
	Result struct {
		Interfaces []struct {
			Name    string `json:"name"`
			MAC     string `json:"mac"`
			Sandbox string `json:"sandbox"`
		} `json:"interfaces"`
		IPs []struct {
			Address   string `json:"address"`
			Gateway   string `json:"gateway"`
			Interface *int   `json:"interface"`
		} `json:"ips"`
	} `json:"result"`
}

// PortMapping is a published port as CNI's portmap plugin, nerdctl and CRI-O write it.
type PortMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP"`
}

// Ports converts port mappings, leaving out what is no port.
func Ports(list []PortMapping) []snapshot.Port {
	ports := []snapshot.Port{}
	for _, m := range list {
		if m.HostPort <= 0 || m.HostPort > 65535 || m.ContainerPort <= 0 || m.ContainerPort > 65535 {
			continue
		}
		p := snapshot.Port{Proto: cmp.Or(strings.ToLower(m.Protocol), "tcp"), HostPort: uint16(m.HostPort), Port: uint16(m.ContainerPort)}
		if a, err := netip.ParseAddr(m.HostIP); err == nil && !a.IsUnspecified() {
			p.HostAddr = a.Unmap()
		}
		ports = append(ports, p)
	}
	slices.SortFunc(ports, func(a, b snapshot.Port) int {
		return cmp.Or(cmp.Compare(a.HostPort, b.HostPort), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto), a.HostAddr.Compare(b.HostAddr))
	})
	return slices.Compact(ports)
}

// Attachments is what libcni remembers of one container.
type Attachments struct {
	Endpoints []snapshot.Endpoint
	Ports     []snapshot.Port
}

// CNI reads libcni's cache, by container. Where there is none it is empty.
func CNI(root host.Root) map[string]Attachments {
	byID := map[string]Attachments{}
	names, err := root.ReadDir(cacheDir)
	if err != nil {
		return byID
	}
	for _, name := range names {
		data, err := root.ReadFile(path.Join(cacheDir, name), MaxConfig)
		if err != nil {
			continue
		}
		id, ep, ports, ok := ParseCNI(data)
		if !ok {
			continue
		}
		a := byID[id]
		a.Endpoints = append(a.Endpoints, ep)
		for _, p := range ports {
			// Every network that the container is on is told the same ports.
			if !slices.Contains(a.Ports, p) {
				a.Ports = append(a.Ports, p)
			}
		}
		byID[id] = a
	}
	return byID
}

// ParseCNI parses one file of the cache.
func ParseCNI(data []byte) (container string, ep snapshot.Endpoint, ports []snapshot.Port, ok bool) {
	var c cached
	if json.Unmarshal(data, &c) != nil || c.Kind != "cniCacheV1" || c.ContainerID == "" {
		return "", ep, nil, false
	}
	ep = snapshot.Endpoint{NetworkName: c.NetworkName, Interface: c.IfName, Aliases: []string{}}
	inside := -1
	for i, l := range c.Result.Interfaces {
		if l.Name == c.IfName && l.Sandbox != "" {
			inside, ep.MAC = i, strings.ToLower(l.MAC)
		}
	}
	for _, ip := range c.Result.IPs {
		if ip.Interface != nil && *ip.Interface != inside {
			continue
		}
		p, err := netip.ParsePrefix(ip.Address)
		if err != nil {
			continue
		}
		gw, _ := netip.ParseAddr(ip.Gateway)
		if p.Addr().Is4() && !ep.Addr.IsValid() {
			ep.Addr, ep.Gateway = p, gw
		} else if p.Addr().Is6() && !ep.Addr6.IsValid() {
			ep.Addr6, ep.Gateway6 = p, gw
		}
	}
	return c.ContainerID, ep, Ports(c.CapabilityArgs.PortMappings), true
}
