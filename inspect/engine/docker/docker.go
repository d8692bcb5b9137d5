package docker

import (
	"cmp"
	"context"
	"path"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Family finds Docker engines, and whatever answers to Docker's API where the user says.
type Family struct {
	// Asked are the endpoints that the user named: only these are read.
	Asked []string
	// Named are endpoints from the environment and from Docker's contexts: read if they are not among those found.
	Named []string
}

// Find returns an engine for every dockerd, every socket at a usual place that belongs to none of them, every endpoint that
// was named, and every group of containers that outlived its dockerd.
func (f Family) Find(v *host.View) []host.Engine {
	find := finder{v: v}
	if len(f.Asked) == 0 {
		find.processes()
		find.defaults()
		for _, url := range f.Named {
			find.endpoint(url, false)
		}
		find.orphans()
	} else {
		// The processes are looked at all the same: they tell where a named socket's engine lives.
		find.processes()
		for _, d := range find.all {
			d.skip = true
		}
		for _, url := range f.Asked {
			find.endpoint(url, true)
		}
		find.orphans()
	}
	var engines []host.Engine
	for _, d := range find.all {
		if !d.skip {
			engines = append(engines, d)
		}
	}
	return engines
}

type finder struct {
	v   *host.View
	all []*daemon
}

func (f *finder) processes() {
	for _, p := range f.v.Table.Named("dockerd") {
		// dockerd starts itself again for single tasks (docker-untar, libnetwork-setkey), with that for its name.
		if len(p.Args) == 0 || !strings.HasSuffix(p.Args[0], "dockerd") {
			continue
		}
		f.all = append(f.all, ofProcess(f.v, p))
	}
}

// socketKey is what makes two paths one socket.
type socketKey struct{ dev, ino uint64 }

func key(root host.Root, name string) (socketKey, bool) {
	info, err := root.Stat(name)
	if err != nil || !info.IsSocket() {
		return socketKey{}, false
	}
	return socketKey{info.Dev, info.Ino}, true
}

// owner returns the engine that has a socket.
func (f *finder) owner(k socketKey) *daemon {
	for _, d := range f.all {
		for _, s := range d.sockets {
			if have, ok := key(d.place.Root, s); ok && have == k {
				return d
			}
		}
	}
	return nil
}

// defaults looks for sockets at the usual places of every mount namespace.
func (f *finder) defaults() {
	for _, place := range f.v.Places {
		for _, name := range usualSockets(place.Root) {
			k, ok := key(place.Root, name)
			if ok && f.owner(k) == nil {
				f.all = append(f.all, &daemon{kind: "docker", place: place, sockets: []string{name}})
			}
		}
	}
}

func usualSockets(root host.Root) []string {
	names := []string{defaultSocket, "/var/run/docker.sock"}
	if users, err := root.ReadDir("/run/user"); err == nil {
		for _, user := range users {
			names = append(names, path.Join("/run/user", user, "docker.sock"))
		}
	}
	return names
}

// endpoint adds an engine by its URL.
func (f *finder) endpoint(url string, asked bool) {
	file, isUnix := strings.CutPrefix(url, "unix://")
	if !isUnix && strings.HasPrefix(url, "/") {
		file, isUnix = url, true
	}
	if !isUnix {
		for _, d := range f.all {
			if d.url == url {
				return
			}
		}
		f.all = append(f.all, &daemon{kind: "docker", place: f.v.Places[0], url: url, asked: asked})
		return
	}
	own := f.v.Places[0]
	k, ok := key(own.Root, file)
	if ok {
		if d := f.owner(k); d != nil {
			d.asked = d.asked || asked
			d.skip = d.skip && !asked
			return
		}
	}
	// A context that names a socket which is not there is what a rootless engine leaves that is not running.
	if ok || asked {
		f.all = append(f.all, &daemon{kind: "docker", place: own, sockets: []string{file}, asked: asked})
	}
}

// orphans gives shims to their engines, and makes an engine of those that have none any more.
func (f *finder) orphans() {
next:
	for _, g := range shims(f.v) {
		for _, d := range f.all {
			if d.keeps(g) {
				d.shims = append(d.shims, g.shims...)
				continue next
			}
		}
		place, ok := f.v.PlaceOf(g.shims[0])
		// A socket that was left in that mount namespace is the dead engine's.
		for _, d := range f.all {
			if d.proc == nil && d.url == "" && d.place.MntNS == g.mntNS && g.mntNS != 0 {
				d.shims = append(d.shims, g.shims...)
				continue next
			}
		}
		d := &daemon{kind: "docker", place: place, shims: g.shims}
		if ok && strings.HasSuffix(trimVar(g.address), "/containerd/containerd.sock") && trimVar(g.address) != "/run/containerd/containerd.sock" {
			d.execRoot = path.Dir(path.Dir(g.address))
		}
		f.all = append(f.all, d)
	}
}

// Read asks the engine and, where it does not answer, reads what it left on disk.
func (d *daemon) Read(ctx context.Context, v *host.View) host.Answer {
	e := snapshot.Engine{Kind: d.kind, Root: d.place.Root.Prefix, Source: "api"}
	if p := d.home(); p != nil {
		e.Home = p.NetNS
	}
	if d.proc != nil {
		e.PID = d.proc.PID
	}
	a, err := d.ask(ctx, v, e)
	if err == nil {
		return a
	}
	e.Error = err.Error()
	return d.fromDisk(ctx, v, e, err)
}

// nameless gives the engine a name where it did not tell one.
func (d *daemon) nameless(v *host.View, e *snapshot.Engine) {
	e.Name = cmp.Or(e.Name, v.NameOf(d.home()))
}
