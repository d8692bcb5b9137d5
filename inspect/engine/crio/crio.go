package crio

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/engine/internal/oci"
	"github.com/nscope/nscope/inspect/engine/internal/storage"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Family finds storages with containers of CRI-O in them.
type Family struct{}

type store struct {
	storage.Store
	proc *netns.Process
}

// Find returns an engine for every storage; those without a container of CRI-O's turn out to be none.
func (Family) Find(v *host.View) []host.Engine {
	var engines []host.Engine
	daemons := v.Table.Named("crio")
	for _, s := range storage.Find(v) {
		e := &store{Store: s}
		for _, p := range daemons {
			if place, ok := v.PlaceOf(p); ok && place == s.Place {
				e.proc = p
			}
		}
		engines = append(engines, e)
	}
	return engines
}

// Read reads the files.
func (s *store) Read(_ context.Context, v *host.View) host.Answer {
	var a host.Answer
	home := s.proc
	for _, p := range s.Monitors {
		home = cmp.Or(home, p)
	}
	e := &snapshot.Engine{Kind: "crio", Root: s.Place.Root.Prefix, StateDir: s.RunRoot, Source: "state"}
	if s.proc != nil {
		e.PID, e.Endpoint = s.proc.PID, "unix:///var/run/crio/crio.sock"
	}
	if home != nil {
		e.Home = home.NetNS
	}
	containers, err := s.Containers()
	if err != nil {
		if s.proc != nil {
			e.Error = err.Error()
			a.Engine = e
			a.Gap(host.Needs(err), err)
		}
		return a
	}
	cni := oci.CNI(s.Place.Root)
	for i := range containers {
		c := &containers[i]
		if c.Manager() != "cri-o" {
			continue
		}
		w := workload(c)
		if at, ok := cni[c.ID]; ok {
			w.Endpoints = append(w.Endpoints, at.Endpoints...)
			if len(w.Ports) == 0 && len(at.Ports) > 0 {
				w.Ports = at.Ports
			}
		} else if ep, ok := address(c.Config.Annotations); ok {
			w.Endpoints = append(w.Endpoints, ep)
		}
		switch p := a.Locate(v, &w, c.PID, home, s.Place.Root); {
		case p != nil:
			w.State = "running"
		case c.PID == 0:
			w.State = "created"
		default:
			w.State = "unknown"
		}
		a.Workloads = append(a.Workloads, w)
	}
	if len(a.Workloads) == 0 && s.proc == nil {
		return host.Answer{}
	}
	e.Name = v.NameOf(home)
	a.Engine = e
	return a
}

func workload(c *storage.Container) snapshot.Workload {
	ann := c.Config.Annotations
	const p = "io.kubernetes.cri-o."
	w := snapshot.Workload{
		ID: c.ID, Image: cmp.Or(ann[p+"ImageName"], ann[p+"Image"], c.Image), Hostname: cmp.Or(c.Config.Hostname, ann[p+"HostName"]),
		Labels: map[string]string{}, Endpoints: []snapshot.Endpoint{}, Ports: []snapshot.Port{}, Source: "state",
		DNS: snapshot.DNS{Servers: []string{}, Search: []string{}, Options: []string{}},
	}
	_ = json.Unmarshal([]byte(ann[p+"Labels"]), &w.Labels)
	if w.Labels == nil {
		w.Labels = map[string]string{}
	}
	pod := &snapshot.Pod{
		Name:      cmp.Or(ann["io.kubernetes.pod.name"], w.Labels["io.kubernetes.pod.name"], ann[p+"KubeName"]),
		Namespace: cmp.Or(ann["io.kubernetes.pod.namespace"], w.Labels["io.kubernetes.pod.namespace"], ann[p+"Namespace"], "default"),
		UID:       cmp.Or(ann["io.kubernetes.pod.uid"], w.Labels["io.kubernetes.pod.uid"]),
		SandboxID: cmp.Or(ann[p+"SandboxID"], c.ID),
		Sandbox:   ann[p+"ContainerType"] == "sandbox",
	}
	w.Pod = pod
	w.Name = pod.Namespace + "/" + pod.Name
	if !pod.Sandbox {
		w.Name += "/" + cmp.Or(ann["io.kubernetes.container.name"], w.Labels["io.kubernetes.container.name"], c.ID[:min(12, len(c.ID))])
	}
	file, own := c.Config.Network()
	switch {
	case file != "":
		w.Mode, w.SandboxKey = "pod", file
	case own:
		w.Mode = "pod"
	default:
		w.Mode = "host"
	}
	var ports []struct {
		HostPort      int    `json:"host_port"`
		ContainerPort int    `json:"container_port"`
		HostPort2     int    `json:"hostPort"`
		Container2    int    `json:"containerPort"`
		Protocol      string `json:"protocol"`
		HostIP        string `json:"hostIP"`
	}
	if json.Unmarshal([]byte(ann[p+"PortMappings"]), &ports) == nil {
		var list []oci.PortMapping
		for _, m := range ports {
			list = append(list, oci.PortMapping{HostPort: cmp.Or(m.HostPort, m.HostPort2), ContainerPort: cmp.Or(m.ContainerPort, m.Container2), Protocol: m.Protocol, HostIP: m.HostIP})
		}
		w.Ports = oci.Ports(list)
	}
	return w
}

// address is what CRI-O itself notes of a pod's addresses, which comes without prefix lengths.
func address(ann map[string]string) (snapshot.Endpoint, bool) {
	ep := snapshot.Endpoint{NetworkName: "cni", Aliases: []string{}}
	ok := false
	for _, key := range []string{"io.kubernetes.cri-o.IP.0", "io.kubernetes.cri-o.IP.1"} {
		a, err := netip.ParseAddr(ann[key])
		if err != nil {
			continue
		}
		ok = true
		if a = a.Unmap(); a.Is4() {
			ep.Addr = netip.PrefixFrom(a, a.BitLen())
		} else {
			ep.Addr6 = netip.PrefixFrom(a, a.BitLen())
		}
	}
	return ep, ok
}
