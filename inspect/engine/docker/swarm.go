package docker

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"sync"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/snapshot"
)

// swarm asks a manager for nodes, services and tasks. A worker is told none of these.
func (r *reading) swarm(ctx context.Context, e *snapshot.Engine, in *swarm.Info) {
	s := &snapshot.Swarm{NodeID: in.NodeID, NodeAddr: in.NodeAddr, Manager: in.ControlAvailable, State: string(in.LocalNodeState), Nodes: []snapshot.SwarmNode{}}
	e.Swarm = s
	if !in.ControlAvailable {
		return
	}
	var (
		wg       sync.WaitGroup
		nodes    client.NodeListResult
		services client.ServiceListResult
		tasks    client.TaskListResult
	)
	fail := func(what string, err error) {
		if err != nil {
			r.gap("", fmt.Errorf("swarm %s: %w", what, r.d.explain(ctx, r.v, err)))
		}
	}
	wg.Go(func() { var err error; nodes, err = r.NodeList(ctx, client.NodeListOptions{}); fail("nodes", err) })
	wg.Go(func() {
		var err error
		services, err = r.ServiceList(ctx, client.ServiceListOptions{})
		fail("services", err)
	})
	wg.Go(func() { var err error; tasks, err = r.TaskList(ctx, client.TaskListOptions{}); fail("tasks", err) })
	wg.Wait()
	for _, n := range nodes.Items {
		node := snapshot.SwarmNode{ID: n.ID, Name: n.Description.Hostname, Addr: n.Status.Addr, Role: string(n.Spec.Role), State: string(n.Status.State)}
		// The leader of a swarm calls itself 0.0.0.0 up to 20.10.
		if n.ID == s.NodeID && s.NodeAddr != "" {
			node.Addr = s.NodeAddr
		}
		s.Nodes = append(s.Nodes, node)
	}
	slices.SortFunc(s.Nodes, func(a, b snapshot.SwarmNode) int { return cmp.Compare(a.ID, b.ID) })
	list := make([]snapshot.Service, 0, len(services.Items))
	for i := range services.Items {
		list = append(list, convertService(&services.Items[i], tasks.Items, s.Nodes))
	}
	r.mu.Lock()
	r.a.Services = list
	r.mu.Unlock()
}

func convertService(in *swarm.Service, tasks []swarm.Task, nodes []snapshot.SwarmNode) snapshot.Service {
	s := snapshot.Service{
		ID: in.ID, Name: in.Spec.Name, Labels: notNil(in.Spec.Labels),
		VIPs: []snapshot.VIP{}, Ports: []snapshot.Port{}, Tasks: []snapshot.Task{}, Networks: []string{},
		EndpointMode: string(in.Endpoint.Spec.Mode), Source: "api",
	}
	if in.Spec.EndpointSpec != nil {
		s.EndpointMode = cmp.Or(s.EndpointMode, string(in.Spec.EndpointSpec.Mode))
	}
	if c := in.Spec.TaskTemplate.ContainerSpec; c != nil {
		s.Image = c.Image
	}
	switch m := in.Spec.Mode; {
	case m.Replicated != nil:
		s.Mode = "replicated"
		if m.Replicated.Replicas != nil {
			s.Replicas = *m.Replicated.Replicas
		}
	case m.Global != nil:
		s.Mode = "global"
	case m.ReplicatedJob != nil:
		s.Mode = "replicated-job"
		if m.ReplicatedJob.TotalCompletions != nil {
			s.Replicas = *m.ReplicatedJob.TotalCompletions
		}
	case m.GlobalJob != nil:
		s.Mode = "global-job"
	}
	for _, p := range in.Endpoint.Ports {
		s.Ports = append(s.Ports, snapshot.Port{
			Proto: string(p.Protocol), HostPort: uint16(p.PublishedPort), Port: uint16(p.TargetPort),
			Mode: cmp.Or(string(p.PublishMode), string(swarm.PortConfigPublishModeIngress)),
		})
	}
	sortPorts(s.Ports)
	for _, v := range in.Endpoint.VirtualIPs {
		// A service with endpoint mode dnsrr has an entry without an address on some versions.
		if v.Addr.IsValid() {
			s.VIPs = append(s.VIPs, snapshot.VIP{Network: v.NetworkID, Addr: v.Addr})
		}
		s.Networks = append(s.Networks, v.NetworkID)
	}
	for _, n := range in.Spec.TaskTemplate.Networks {
		s.Networks = append(s.Networks, n.Target)
	}
	for i := range tasks {
		if tasks[i].ServiceID == in.ID && alive(&tasks[i]) {
			s.Tasks = append(s.Tasks, convertTask(&tasks[i], s.Name, nodes))
		}
	}
	slices.SortFunc(s.VIPs, func(a, b snapshot.VIP) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), a.Addr.Addr().Compare(b.Addr.Addr()))
	})
	slices.SortFunc(s.Tasks, func(a, b snapshot.Task) int { return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.ID, b.ID)) })
	slices.Sort(s.Networks)
	s.Networks = slices.Compact(s.Networks)
	return s
}

// alive leaves out the tasks of the past that a swarm remembers.
func alive(t *swarm.Task) bool {
	return t.DesiredState == swarm.TaskStateRunning || t.DesiredState == swarm.TaskStateReady || t.Status.State == swarm.TaskStateRunning
}

func convertTask(in *swarm.Task, service string, nodes []snapshot.SwarmNode) snapshot.Task {
	t := snapshot.Task{ID: in.ID, Slot: in.Slot, NodeID: in.NodeID, State: string(in.Status.State), Desired: string(in.DesiredState), Addrs: []snapshot.TaskAddr{}}
	// As swarmkit names them (naming.Task): by slot, and those of a global service by node.
	t.Name = fmt.Sprintf("%s.%d.%s", service, in.Slot, in.ID)
	if in.Slot == 0 {
		t.Name = fmt.Sprintf("%s.%s.%s", service, in.NodeID, in.ID)
	}
	for _, n := range nodes {
		if n.ID == in.NodeID {
			t.NodeName = n.Name
		}
	}
	if in.Status.ContainerStatus != nil {
		t.Workload = in.Status.ContainerStatus.ContainerID
	}
	for _, at := range in.NetworksAttachments {
		for _, a := range at.Addresses {
			if a.IsValid() {
				t.Addrs = append(t.Addrs, snapshot.TaskAddr{Network: at.Network.ID, Addr: a})
			}
		}
	}
	slices.SortFunc(t.Addrs, func(a, b snapshot.TaskAddr) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), a.Addr.Addr().Compare(b.Addr.Addr()))
	})
	return t
}

// taskServices makes services of what a worker's own tasks were told of them. A worker's API tells nothing of services, but
// the files of its tasks do; what cannot be read stays unknown, as it would be anyway.
func (r *reading) taskServices() {
	var docs []document
	for i := range r.a.Workloads {
		w := &r.a.Workloads[i]
		if w.Service == "" || !isID(w.ID) {
			continue
		}
		if doc, err := readContainer(r.d.place.Root, path.Join(r.dataDir, "containers", w.ID)); err == nil && doc.ID == w.ID {
			docs = append(docs, doc)
			for j := range w.Endpoints {
				if svc := doc.NetworkSettings.Service; svc != nil {
					w.Endpoints[j].VIPs = svc.vips(w.Endpoints[j].Network)
				}
			}
		}
	}
	r.a.Services = servicesOf(docs)
}

// servicesOf collects services from the documents of their tasks.
func servicesOf(docs []document) []snapshot.Service {
	byID := map[string]*snapshot.Service{}
	for i := range docs {
		doc := &docs[i]
		labels := doc.Config.Labels
		id := labels[labelServiceID]
		if id == "" {
			continue
		}
		s := byID[id]
		if s == nil {
			s = &snapshot.Service{
				ID: id, Name: labels[labelServiceName], Image: doc.Config.Image, Labels: map[string]string{},
				VIPs: []snapshot.VIP{}, Ports: []snapshot.Port{}, Tasks: []snapshot.Task{}, Networks: []string{}, Source: "state",
			}
			byID[id] = s
		}
		t := snapshot.Task{ID: labels[labelTaskID], Name: labels[labelTaskName], NodeID: labels[labelNodeID], State: doc.state(), Workload: doc.ID, Addrs: []snapshot.TaskAddr{}}
		for _, name := range host.SortedKeys(doc.NetworkSettings.Networks) {
			ep := doc.NetworkSettings.Networks[name]
			if ep == nil || ep.NetworkID == "" {
				continue
			}
			s.Networks = append(s.Networks, ep.NetworkID)
			if a := prefix(ep.IPAddress, ep.IPPrefixLen); a.IsValid() {
				t.Addrs = append(t.Addrs, snapshot.TaskAddr{Network: ep.NetworkID, Addr: a})
			}
		}
		if svc := doc.NetworkSettings.Service; svc != nil && svc.ID == id {
			addVIPs(s, doc)
		}
		s.Tasks = append(s.Tasks, t)
	}
	list := make([]snapshot.Service, 0, len(byID))
	for _, id := range host.SortedKeys(byID) {
		s := byID[id]
		slices.Sort(s.Networks)
		s.Networks = slices.Compact(s.Networks)
		slices.SortFunc(s.VIPs, func(a, b snapshot.VIP) int {
			return cmp.Or(cmp.Compare(a.Network, b.Network), a.Addr.Addr().Compare(b.Addr.Addr()))
		})
		s.VIPs = slices.Compact(s.VIPs)
		s.Ports = sortPorts(s.Ports)
		slices.SortFunc(s.Tasks, func(a, b snapshot.Task) int { return cmp.Compare(a.ID, b.ID) })
		list = append(list, *s)
	}
	return list
}

// swarmkit's numbers for protocols (api.PortConfig_Protocol).
var swarmProtocols = map[int]string{0: "tcp", 1: "udp", 2: "sctp"}

// addVIPs adds the virtual addresses and the ports of the routing mesh that a task was told. With how long a prefix an
// address is given out is not said there; the task's own address on that network has the same.
func addVIPs(s *snapshot.Service, doc *document) {
	svc := doc.NetworkSettings.Service
	s.Name = cmp.Or(s.Name, svc.Name)
	for _, ep := range doc.NetworkSettings.Networks {
		if ep == nil {
			continue
		}
		for _, a := range svc.vips(ep.NetworkID) {
			bits := ep.IPPrefixLen
			if a.Is6() {
				bits = ep.GlobalIPv6PrefixLen
			}
			if p := prefix(a.String(), bits); p.IsValid() {
				s.VIPs = append(s.VIPs, snapshot.VIP{Network: ep.NetworkID, Addr: p})
				s.EndpointMode = "vip"
			}
		}
	}
	for _, p := range svc.ExposedPorts {
		if p.PublishedPort > 0 && p.PublishedPort <= 65535 && p.TargetPort <= 65535 {
			s.Ports = append(s.Ports, snapshot.Port{Proto: swarmProtocols[p.Protocol], HostPort: uint16(p.PublishedPort), Port: uint16(p.TargetPort), Mode: "ingress"})
		}
	}
}
