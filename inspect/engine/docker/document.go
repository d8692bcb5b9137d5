package docker

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/snapshot"
)

// document is a container as Docker writes it, in the answer of GET /containers/<id>/json (API 1.40 and later) and in
// <data-root>/containers/<id>/config.v2.json (container.Container in moby's daemon/container/container.go): both
// have these names, and encoding/json does not care that one writes Id and the other ID. Addresses are read as text, so that a value
// that some version writes differently costs that value and not the container.
type document struct {
	ID    string `json:"Id"`
	Name  string
	State struct {
		Status                                               string // API only
		Running, Paused, Restarting, Dead, RemovalInProgress bool
		Pid                                                  int
		StartedAt                                            string
	}
	Config struct {
		Hostname, Domainname, Image string
		Labels                      map[string]string
	}
	// HostConfig is a file of its own on disk, hostconfig.json.
	HostConfig      hostConfig
	NetworkSettings struct {
		SandboxID, SandboxKey string
		Ports                 map[string][]binding
		Networks              map[string]*endpoint
		// Service is on disk only: what a Swarm task was told of its service.
		Service *taskService
	}
	HostsPath string
}

type hostConfig struct {
	NetworkMode                string
	Dns, DnsSearch, DnsOptions []string
	PortBindings               map[string][]binding
}

type binding struct{ HostIp, HostPort string }

type endpoint struct {
	NetworkID, EndpointID, MacAddress string
	Gateway, IPAddress                string
	IPPrefixLen                       int
	IPv6Gateway, GlobalIPv6Address    string
	GlobalIPv6PrefixLen               int
	Aliases                           []string
	DriverOpts                        map[string]string
}

// taskService is libnetwork's cluster.ServiceConfig.
type taskService struct {
	ID, Name         string
	VirtualAddresses map[string]*struct{ IPv4, IPv6 string } // by network id
	ExposedPorts     []struct {
		Protocol                  int // swarmkit's enum: 0 tcp, 1 udp, 2 sctp
		TargetPort, PublishedPort uint32
	}
}

// noDate is how Go writes the zero time.
const noDate = "0001-01-01"

// state is the word for the state as `docker ps` has it (moby's container.State.StateString).
func (d *document) state() string {
	s := &d.State
	switch {
	case s.Status != "":
		return s.Status
	case s.Running && s.Paused:
		return "paused"
	case s.Running && s.Restarting, s.Restarting:
		return "restarting"
	case s.Running:
		return "running"
	case s.RemovalInProgress:
		return "removing"
	case s.Dead:
		return "dead"
	case s.StartedAt == "" || strings.HasPrefix(s.StartedAt, noDate):
		return "created"
	}
	return "exited"
}

// Labels that swarmkit gives to the containers of tasks (moby's daemon/cluster/executor/container/container.go).
const (
	labelServiceID   = "com.docker.swarm.service.id"
	labelServiceName = "com.docker.swarm.service.name"
	labelTaskID      = "com.docker.swarm.task.id"
	labelTaskName    = "com.docker.swarm.task.name"
	labelNodeID      = "com.docker.swarm.node.id"
)

// workload converts all but the process and the namespace.
func (d *document) workload(source string) snapshot.Workload {
	w := snapshot.Workload{
		ID:         d.ID,
		Name:       cmp.Or(strings.TrimPrefix(d.Name, "/"), short(d.ID)),
		Image:      d.Config.Image,
		Labels:     notNil(d.Config.Labels),
		State:      d.state(),
		Mode:       d.HostConfig.NetworkMode,
		SandboxID:  d.NetworkSettings.SandboxID,
		SandboxKey: d.NetworkSettings.SandboxKey,
		Hostname:   d.Config.Hostname,
		Endpoints:  []snapshot.Endpoint{},
		Ports:      ports(d.NetworkSettings.Ports),
		DNS: snapshot.DNS{
			Servers: orEmpty(d.HostConfig.Dns),
			Search:  orEmpty(d.HostConfig.DnsSearch),
			Options: orEmpty(d.HostConfig.DnsOptions),
		},
		Service: d.Config.Labels[labelServiceID],
		Task:    d.Config.Labels[labelTaskID],
		Source:  source,
	}
	if d.Config.Domainname != "" {
		w.Hostname += "." + d.Config.Domainname
	}
	for _, name := range host.SortedKeys(d.NetworkSettings.Networks) {
		if ep := d.NetworkSettings.Networks[name]; ep != nil {
			w.Endpoints = append(w.Endpoints, ep.convert(name, d.NetworkSettings.Service))
		}
	}
	return w
}

// optIfname is the endpoint option by which newer engines let users name the interface.
const optIfname = "com.docker.network.endpoint.ifname"

func (e *endpoint) convert(name string, svc *taskService) snapshot.Endpoint {
	out := snapshot.Endpoint{
		ID:          e.EndpointID,
		Network:     e.NetworkID,
		NetworkName: name,
		Addr:        prefix(e.IPAddress, e.IPPrefixLen),
		Addr6:       prefix(e.GlobalIPv6Address, e.GlobalIPv6PrefixLen),
		Gateway:     addr(e.Gateway),
		Gateway6:    addr(e.IPv6Gateway),
		MAC:         strings.ToLower(e.MacAddress),
		Interface:   e.DriverOpts[optIfname],
		Aliases:     orEmpty(e.Aliases),
	}
	if svc != nil {
		out.VIPs = svc.vips(e.NetworkID)
	}
	return out
}

func (s *taskService) vips(network string) []netip.Addr {
	v := s.VirtualAddresses[network]
	if v == nil {
		return nil
	}
	var vips []netip.Addr
	for _, text := range []string{v.IPv4, v.IPv6} {
		if a := addr(text); a.IsValid() && !a.IsUnspecified() {
			vips = append(vips, a)
		}
	}
	return vips
}

// ports converts a map from "80/tcp" to the bindings on the host. An engine that binds all addresses writes one
// binding for IPv4 and one for IPv6, which are one published port here.
func ports(m map[string][]binding) []snapshot.Port {
	list := []snapshot.Port{}
	for _, key := range host.SortedKeys(m) {
		number, proto, _ := strings.Cut(key, "/")
		port, ok := parsePort(number)
		if !ok {
			continue
		}
		p := snapshot.Port{Proto: cmp.Or(strings.ToLower(proto), "tcp"), Port: port}
		if len(m[key]) == 0 {
			list = append(list, p)
		}
		for _, b := range m[key] {
			p.HostPort, _ = parsePort(b.HostPort)
			p.HostAddr = netip.Addr{}
			if a := addr(b.HostIp); !a.IsUnspecified() {
				p.HostAddr = a
			}
			list = append(list, p)
		}
	}
	return sortPorts(list)
}

func sortPorts(list []snapshot.Port) []snapshot.Port {
	slices.SortFunc(list, func(a, b snapshot.Port) int {
		return cmp.Or(cmp.Compare(a.HostPort, b.HostPort), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto),
			a.HostAddr.Compare(b.HostAddr), cmp.Compare(a.Mode, b.Mode))
	})
	return slices.Compact(list)
}

func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil
}

func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		// Gateways of some versions carry their prefix length.
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return netip.Addr{}
		}
		a = p.Addr()
	}
	return a.Unmap()
}

func prefix(s string, bits int) netip.Prefix {
	a := addr(s)
	if !a.IsValid() || bits < 0 || bits > a.BitLen() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, bits)
}

func parsePrefix(s string) netip.Prefix {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// short is an id as Docker abbreviates it.
func short(id string) string { return id[:min(12, len(id))] }

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
