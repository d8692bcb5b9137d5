package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/snapshot"
)

// join puts the answers together: one container is one workload, and every engine has an id.
func join(v *host.View, answers []host.Answer) Result {
	r := Result{
		Engines: []snapshot.Engine{}, Workloads: []snapshot.Workload{}, Networks: []snapshot.Network{},
		Services: []snapshot.Service{}, Flannel: []snapshot.Flannel{}, Gaps: []snapshot.Gap{},
	}
	for i := range answers {
		if answers[i].Engine == nil {
			for _, g := range answers[i].Gaps {
				g.Reader = cmp.Or(g.Reader, "engines")
				r.Gaps = append(r.Gaps, g)
			}
		}
	}
	kept := unique(answers)
	nameBySwarm(kept)
	slices.SortStableFunc(kept, func(a, b *host.Answer) int { return compare(v, a.Engine, b.Engine) })
	name(v, kept)
	slices.SortStableFunc(kept, func(a, b *host.Answer) int { return cmp.Compare(a.Engine.ID, b.Engine.ID) })
	for _, a := range kept {
		id := a.Engine.ID
		r.Engines = append(r.Engines, *a.Engine)
		for _, w := range a.Workloads {
			w.Engine = id
			r.Workloads = append(r.Workloads, w)
		}
		for _, n := range a.Networks {
			n.Engine = id
			r.Networks = append(r.Networks, n)
		}
		for _, s := range a.Services {
			s.Engine = id
			r.Services = append(r.Services, s)
		}
		for _, g := range a.Gaps {
			g.Reader = cmp.Or(g.Reader, "engine "+id)
			r.Gaps = append(r.Gaps, g)
		}
	}
	return r
}

// rank orders sources by how much they know.
var rank = map[string]int{"api": 0, "state": 1, "cgroup": 2}

// unique leaves every container to the engine that knows most of it. An engine that knows nothing which another does not
// know better is not one: it is the same one by another way.
func unique(answers []host.Answer) []*host.Answer {
	type place struct {
		answer int
		rank   int
	}
	best := map[string]place{}
	for i := range answers {
		for j := range answers[i].Workloads {
			w := &answers[i].Workloads[j]
			k, have := workloadKey(w), place{i, rank[w.Source]}
			if b, ok := best[k]; !ok || have.rank < b.rank {
				best[k] = have
			}
		}
	}
	var kept []*host.Answer
	met := map[string]bool{}
	for i := range answers {
		a := &answers[i]
		if a.Engine == nil {
			continue
		}
		before := len(a.Workloads)
		a.Workloads = slices.DeleteFunc(a.Workloads, func(w snapshot.Workload) bool { return best[workloadKey(&w)].answer != i })
		if before > 0 && len(a.Workloads) == 0 {
			continue
		}
		if a.Identity != "" {
			// A copied disk brings two engines the same identity; these are not in the same place.
			k := fmt.Sprintf("%s %s %s", a.Engine.Kind, a.Identity, a.Engine.Home)
			if met[k] {
				continue
			}
			met[k] = true
		}
		kept = append(kept, a)
	}
	return kept
}

// workloadKey tells containers apart. Ids that an engine makes are random; those that a user gives (ctr run … web) are unique
// in one engine only, and there it is the process that tells.
func workloadKey(w *snapshot.Workload) string {
	if len(w.ID) == 64 {
		return w.ID
	}
	return fmt.Sprintf("%s %d %s", w.ID, w.PID, w.Namespace)
}

// nested tells whether an engine does not run in the host's own network namespace.
func nested(v *host.View, e *snapshot.Engine) bool {
	return e.Home != "" && v.HostNS != "" && e.Home != v.HostNS
}

// compare puts the host's engines first and the rest in an order that does not change from one reading to the next.
func compare(v *host.View, a, b *snapshot.Engine) int {
	depth := func(e *snapshot.Engine) int {
		switch {
		case nested(v, e):
			return 1
		case e.Home == "" && e.Source != "cgroup":
			return 2 // one that did not answer, from nobody knows where, does not get the plain name
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(depth(a), depth(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Endpoint, b.Endpoint),
		cmp.Compare(a.StateDir, b.StateDir), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Home, b.Home))
}

// name gives every engine an id: its kind, "<kind>@<name>" for one that is nested or, where the host's own network namespace is
// not known, for one of several; "#<n>" is added where that would not be unique, and where a nested one has no name.
func name(v *host.View, sorted []*host.Answer) {
	kinds := map[string]int{}
	for _, a := range sorted {
		kinds[a.Engine.Kind]++
	}
	used := map[string]bool{}
	for _, a := range sorted {
		e := a.Engine
		several := v.HostNS == "" && kinds[e.Kind] > 1
		e.ID = e.Kind
		if e.Name != "" && (nested(v, e) || several || used[e.ID]) {
			e.ID = e.Kind + "@" + e.Name
		} else if nested(v, e) && e.Name == "" {
			e.ID = e.Kind + "#1"
		}
		for base, n := strings.TrimSuffix(e.ID, "#1"), 2; used[e.ID]; n++ {
			e.ID = fmt.Sprintf("%s#%d", base, n)
		}
		used[e.ID] = true
	}
}

// nameBySwarm names engines that do not answer after what another one, a manager, calls their node.
func nameBySwarm(kept []*host.Answer) {
	names := map[string]string{}
	for _, a := range kept {
		if a.Engine.Swarm != nil {
			for _, n := range a.Engine.Swarm.Nodes {
				names[n.ID] = n.Name
			}
		}
	}
	for _, a := range kept {
		if e := a.Engine; e.Name == "" && e.Swarm != nil {
			e.Name = names[e.Swarm.NodeID]
		}
	}
}

// nameNodes names the nodes of flannel's leases after the swarm's nodes with the same address.
func (r *Result) nameNodes() {
	names := map[string]string{}
	for _, e := range r.Engines {
		if e.Swarm == nil {
			continue
		}
		if e.Swarm.NodeAddr != "" && e.Name != "" {
			names[e.Swarm.NodeAddr] = e.Name
		}
		for _, n := range e.Swarm.Nodes {
			if n.Addr != "" {
				names[n.Addr] = n.Name
			}
		}
	}
	for i := range r.Flannel {
		for j := range r.Flannel[i].Leases {
			l := &r.Flannel[i].Leases[j]
			l.Node = names[l.PublicIP.String()]
		}
	}
}
