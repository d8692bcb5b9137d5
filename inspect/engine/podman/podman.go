package podman

import (
	"cmp"
	"context"
	"errors"
	"path"
	"strings"

	"github.com/nscope/nscope/inspect/engine/docker"
	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/engine/internal/oci"
	"github.com/nscope/nscope/inspect/engine/internal/storage"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Family finds Podman's services and storages. One that has both is found twice; what its API tells is kept.
type Family struct {
	// NoAPI is set where the user named the endpoints to ask.
	NoAPI bool
}

// Find returns an engine for every socket of a service and one for every storage with containers.
func (f Family) Find(v *host.View) []host.Engine {
	var engines []host.Engine
	if !f.NoAPI {
		engines = sockets(v)
	}
	for _, s := range storage.Find(v) {
		engines = append(engines, &store{s})
	}
	return engines
}

// sockets looks for services: by process (podman system service [--time N] unix:///…) and at the usual places. A socket
// of systemd's (podman.socket) is asked too: what it starts changes nothing and ends by itself.
func sockets(v *host.View) []host.Engine {
	var engines []host.Engine
	type key struct{ dev, ino uint64 }
	seen := map[key]bool{}
	add := func(place host.Place, file string, p *netns.Process) {
		info, err := place.Root.Stat(file)
		if err != nil || !info.IsSocket() || seen[key{info.Dev, info.Ino}] {
			return
		}
		seen[key{info.Dev, info.Ino}] = true
		engines = append(engines, docker.Socket("podman", place, file, p, Supplement))
	}
	for _, p := range v.Table.Named("podman") {
		place, ok := v.PlaceOf(p)
		if !ok || !isService(p.Args) {
			continue
		}
		for _, arg := range p.Args {
			if file, ok := strings.CutPrefix(arg, "unix://"); ok {
				add(place, file, p)
			}
		}
	}
	for _, place := range v.Places {
		for _, file := range usualSockets(place.Root) {
			add(place, file, nil)
		}
	}
	return engines
}

func isService(args []string) bool {
	for i := range args {
		if args[i] == "system" && i+1 < len(args) && args[i+1] == "service" {
			return true
		}
	}
	return false
}

func usualSockets(root host.Root) []string {
	files := []string{"/run/podman/podman.sock"}
	users, err := root.ReadDir("/run/user")
	if err != nil {
		return files
	}
	for _, user := range users {
		files = append(files, path.Join("/run/user", user, "podman/podman.sock"))
	}
	return files
}

// store is a storage of which Podman's containers are read.
type store struct{ storage.Store }

// Read reads the files.
func (s *store) Read(_ context.Context, v *host.View) host.Answer {
	var a host.Answer
	root := s.Place.Root
	containers, err := s.Containers()
	e := &snapshot.Engine{Kind: "podman", Root: root.Prefix, StateDir: s.Root, Source: "state"}
	var home *netns.Process
	if len(s.Monitors) > 0 {
		home = s.Monitors[0]
		e.Home = home.NetNS
	}
	if err != nil {
		if len(s.Monitors) > 0 && isPodmans(s.Monitors) {
			e.Error = err.Error()
			a.Engine = e
			a.Gap(host.Needs(err), err)
		}
		return a
	}
	infra := infras(containers)
	byPID := map[int]string{}
	for i := range containers {
		if c := &containers[i]; c.PID != 0 {
			byPID[c.PID] = c.ID
		}
	}
	for i := range containers {
		c := &containers[i]
		if c.Manager() != "libpod" {
			continue
		}
		w := workload(c, infra, byPID)
		p := a.Locate(v, &w, c.PID, home, root)
		w.State = state(c, p)
		a.Workloads = append(a.Workloads, w)
	}
	if len(a.Workloads) == 0 {
		return host.Answer{}
	}
	a.Networks = networks(root)
	e.Name = v.NameOf(home)
	a.Engine = e
	return a
}

// isPodmans tells whether a monitor is Podman's: its exit command is.
func isPodmans(monitors []*netns.Process) bool {
	for _, p := range monitors {
		if path.Base(host.Arg(p.Args, "--exit-command")) == "podman" {
			return true
		}
	}
	return false
}

// state is what a process proves: a container without a pid file never ran or has ended, and which of both only the
// database knows.
func state(c *storage.Container, p *netns.Process) string {
	switch {
	case p != nil:
		return "running"
	case c.PID == 0:
		return "exited"
	}
	return "unknown"
}

// infras returns the ids of the infra containers with the names of their pods. Members name it as their sandbox; its host
// name is the pod's name.
func infras(containers []storage.Container) map[string]string {
	pods := map[string]string{}
	for i := range containers {
		if c := containers[i].Config; c != nil {
			if id := c.Annotations["io.kubernetes.cri-o.SandboxID"]; id != "" {
				pods[id] = ""
			}
		}
	}
	for i := range containers {
		c := &containers[i]
		if _, ok := pods[c.ID]; ok && c.Config != nil {
			pods[c.ID] = c.Config.Hostname
		}
	}
	return pods
}

func workload(c *storage.Container, infra map[string]string, byPID map[int]string) snapshot.Workload {
	w := snapshot.Workload{
		ID: c.ID, Name: c.ID[:min(12, len(c.ID))], Image: c.Image, Hostname: c.Config.Hostname, Labels: map[string]string{},
		Endpoints: []snapshot.Endpoint{}, Ports: []snapshot.Port{}, Source: "state",
		DNS: snapshot.DNS{Servers: []string{}, Search: []string{}, Options: []string{}},
	}
	if len(c.Names) > 0 {
		w.Name = c.Names[0]
	}
	file, own := c.Config.Network()
	switch pid := oci.ProcPID(file); {
	case pid != 0 && byPID[pid] != "":
		w.Mode = "container:" + byPID[pid]
	case file != "":
		w.SandboxKey = file
	case own:
		w.Mode = "none"
	default:
		w.Mode = "host"
	}
	if name, ok := infra[c.ID]; ok {
		w.Pod = &snapshot.Pod{Name: name, SandboxID: c.ID, Sandbox: true}
	} else if id := c.Config.Annotations["io.kubernetes.cri-o.SandboxID"]; id != "" {
		w.Pod = &snapshot.Pod{Name: infra[id], SandboxID: id}
	}
	return w
}

// Supplement adds what Podman's own API tells: pods, and the links that carry networks. It is spoken by versions 4 and later.
func Supplement(ctx context.Context, get func(context.Context, string, any) error, a *host.Answer) {
	var pods []struct {
		ID         string `json:"Id"`
		Name       string
		InfraID    string `json:"InfraId"`
		Containers []struct {
			ID string `json:"Id"`
		}
	}
	var nets []network
	err := get(ctx, "/v4.0.0/libpod/pods/json", &pods)
	err2 := get(ctx, "/v4.0.0/libpod/networks/json", &nets)
	if err = errors.Join(err, err2); err != nil {
		a.Gap("", err)
	}
	member := map[string]*snapshot.Pod{}
	for _, p := range pods {
		for _, c := range p.Containers {
			member[c.ID] = &snapshot.Pod{Name: p.Name, UID: p.ID, SandboxID: p.InfraID, Sandbox: c.ID == p.InfraID}
		}
	}
	names := map[string]string{}
	if err2 == nil {
		a.Networks = nil
		for i := range nets {
			n := nets[i].convert("api")
			names[n.Name] = n.ID
			a.Networks = append(a.Networks, n)
		}
	}
	for i := range a.Workloads {
		w := &a.Workloads[i]
		w.Pod = cmp.Or(member[w.ID], w.Pod)
		if strings.HasPrefix(w.Mode, "container:") {
			// Podman repeats what is the other container's.
			w.Endpoints, w.Ports = []snapshot.Endpoint{}, []snapshot.Port{}
		}
		for j := range w.Endpoints {
			// Its compatible API gives the name for the id.
			ep := &w.Endpoints[j]
			ep.Network = cmp.Or(names[ep.NetworkName], ep.Network)
		}
	}
}
