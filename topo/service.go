package topo

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// svc is one Swarm service, merged from every manager that tells of it and from the tasks that name it.
type svc struct {
	id, node, name string
	src            *source
	best           *snapshot.Service
	engines        []*engine // that told of it
	vips           []vip
	tasks          []*work
	taskNets       map[string]bool // ids of networks on which it has members, from the tasks alone
}

type vip struct {
	network string // id
	addr    netip.Addr
}

// Labels that a swarm puts on its tasks' containers.
const (
	labelServiceID   = "com.docker.swarm.service.id"
	labelServiceName = "com.docker.swarm.service.name"
)

func (b *builder) services() {
	b.collectServices()
	for _, s := range b.svcs {
		marks := b.balances(s)
		b.addService(s, marks)
	}
}

func serviceOf(w *snapshot.Workload) string { return cmp.Or(w.Service, w.Labels[labelServiceID]) }

// serviceName is the name of the service that a task's container belongs to.
func (b *builder) serviceName(w *work) string {
	if n := w.w.Labels[labelServiceName]; n != "" {
		return n
	}
	for _, s := range b.sources {
		for i := range s.snap.Services {
			if s.snap.Services[i].ID == w.w.Service {
				return s.snap.Services[i].Name
			}
		}
	}
	return w.w.Service
}

func (b *builder) collectServices() {
	b.svcIdx = map[string]*svc{}
	get := func(id string) *svc {
		s := b.svcIdx[id]
		if s == nil {
			s = &svc{id: id, node: "service:" + id, taskNets: map[string]bool{}}
			b.svcIdx[id] = s
			b.svcs = append(b.svcs, s)
		}
		return s
	}
	type view struct {
		src *source
		s   *snapshot.Service
	}
	views := map[string][]view{}
	for _, src := range b.sources {
		for i := range src.snap.Services {
			if x := &src.snap.Services[i]; x.ID != "" {
				views[x.ID] = append(views[x.ID], view{src, x})
				if e := src.engine(x.Engine); e != nil {
					get(x.ID).engines = append(get(x.ID).engines, e)
				}
			}
		}
	}
	for id, vs := range views {
		slices.SortStableFunc(vs, func(x, y view) int {
			return cmp.Or(cmp.Compare(rank(sourceRank, x.s.Source), rank(sourceRank, y.s.Source)), cmp.Compare(len(y.s.Tasks), len(x.s.Tasks)),
				y.src.snap.Taken.Compare(x.src.snap.Taken), strings.Compare(asJSON(x.s), asJSON(y.s)))
		})
		s := get(id)
		s.best, s.src, s.name = vs[0].s, vs[0].src, vs[0].s.Name
		for _, v := range s.best.VIPs {
			s.addVIP(v.Network, v.Addr.Addr())
		}
	}
	for _, w := range b.work {
		id := serviceOf(w.w)
		if id == "" {
			continue
		}
		s := get(id)
		s.tasks = append(s.tasks, w)
		s.name = cmp.Or(s.name, w.w.Labels[labelServiceName])
		if s.src == nil {
			s.src = w.src
		}
		for i := range w.w.Endpoints {
			ep := &w.w.Endpoints[i]
			if ep.Network != "" {
				s.taskNets[ep.Network] = true
			}
			for _, a := range ep.VIPs {
				s.addVIP(ep.Network, a)
			}
		}
		if w.eng != nil && s.best == nil {
			s.engines = append(s.engines, w.eng)
		}
	}
	for _, s := range b.svcs {
		if s.best == nil {
			s.best = &snapshot.Service{ID: s.id, Name: s.name}
		}
		s.name = cmp.Or(s.name, s.id)
		slices.SortFunc(s.vips, func(x, y vip) int { return cmp.Or(strings.Compare(x.network, y.network), x.addr.Compare(y.addr)) })
	}
	slices.SortFunc(b.svcs, func(x, y *svc) int { return strings.Compare(x.id, y.id) })
}

func (s *svc) addVIP(network string, a netip.Addr) {
	if a.IsValid() && !slices.Contains(s.vips, vip{network, a}) {
		s.vips = append(s.vips, vip{network, a})
	}
}

// addService makes the service's node. A task elsewhere is an attribute; one here an edge.
func (b *builder) addService(s *svc, marks []uint32) {
	a := NodeAttrs{Engine: s.kind(), EngineID: s.best.Engine, ServiceID: s.id, EndpointMode: s.best.EndpointMode, Replicas: s.best.Replicas,
		Image: s.best.Image, Mode: s.best.Mode, Source: s.best.Source, Ports: portStrings(s.best.Ports)}
	for _, v := range s.vips {
		a.VIPs = append(a.VIPs, v.addr.String())
	}
	a.VIPs = sortAddrs(a.VIPs)
	if a.Marks = marks; len(marks) == 1 {
		a.Mark = marks[0]
	}
	for id := range s.networks() {
		a.Networks = append(a.Networks, b.netName(s, id))
	}
	a.Networks = sortedSet(a.Networks)
	for i := range s.best.Tasks {
		t := &s.best.Tasks[i]
		if t.State != "running" || b.hasTask(s, t) {
			continue
		}
		where := ""
		if t.NodeName != "" {
			where = " on " + t.NodeName
		}
		for _, ad := range t.Addrs {
			if ad.Addr.IsValid() {
				a.Backends = append(a.Backends, fmt.Sprintf("%s %s%s", ad.Addr.Addr(), t.Name, where))
			}
		}
		if len(t.Addrs) == 0 {
			a.Backends = append(a.Backends, t.Name+where)
		}
	}
	a.Backends = sortedSet(a.Backends)
	b.node(Node{ID: s.node, Kind: KindService, Name: s.name, Attrs: a}, raw{src: s.src, svc: s})
}

// networks are the ids of those that a service is on.
func (s *svc) networks() map[string]bool {
	out := map[string]bool{}
	for _, id := range s.best.Networks {
		out[id] = true
	}
	for _, v := range s.vips {
		out[v.network] = true
	}
	if len(out) == 0 {
		return s.taskNets
	}
	delete(out, "")
	return out
}

// kindLab is the engine that is a host of a lab of nscope's own: laid out as Docker does.
const kindLab = "nscope"

// kind is the kind of the engines that told of the service.
func (s *svc) kind() string {
	if len(s.engines) > 0 {
		return s.engines[0].e.Kind
	}
	return "docker"
}

func (b *builder) netName(s *svc, id string) string {
	if n := b.findNet(s.src.k, nil, s.kind(), id); n != nil {
		return n.name
	}
	return id
}

func (b *builder) hasTask(s *svc, t *snapshot.Task) bool {
	return slices.ContainsFunc(s.tasks, func(w *work) bool { return w.w.ID == t.Workload || w.w.Task == t.ID && t.ID != "" })
}
