package docker

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Family finds Docker engines, and whatever answers to Docker's API where the user says.
type Family struct {
	// Asked are the endpoints that the user named: only these are read.
	Asked []string
	// Named are endpoints from the environment and from Docker's contexts: read if they are not among those found.
	Named []string
	// Podman adds what only Podman's own API tells, where an endpoint turns out to be Podman's.
	Podman Supplement
}

// Supplement adds to what an engine that speaks Docker's API has answered, by asking it by another. Get fetches JSON from a path.
type Supplement func(ctx context.Context, get func(ctx context.Context, path string, v any) error, a *host.Answer)

// Socket returns an engine of another kind that speaks Docker's API at a socket of a place. It has no state files as
// Docker has them: where nobody answers there is no engine, and unless that is because nobody listens, a gap.
func Socket(kind string, place host.Place, socket string, proc *netns.Process, s Supplement) host.Engine {
	return &daemon{kind: kind, place: place, sockets: []string{socket}, proc: proc, supplement: s, apiOnly: true}
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
		if d.supplement = f.Podman; !d.skip {
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
	err := d.closed
	if err == nil {
		var a host.Answer
		if a, err = d.ask(ctx, v, e); err == nil {
			return a
		}
		if errors.Is(err, fs.ErrNotExist) && d.proc != nil && d.proc.MntNS == 0 {
			// It runs; its files are just not where we look, and where they are we may not look.
			err = &fs.PathError{Op: "look into", Path: d.proc.Root, Err: fs.ErrPermission}
		}
	}
	if d.apiOnly {
		return d.silent(e, err)
	}
	e.Error = err.Error()
	return d.fromDisk(ctx, v, e, err)
}

// silent is the answer of an engine that has nothing but its API and does not answer.
func (d *daemon) silent(e snapshot.Engine, err error) host.Answer {
	var a host.Answer
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return a
	}
	e.Endpoint, e.Error = "unix://"+d.sockets[0], err.Error()
	a.Engine = &e
	a.Gap(needs(err), err)
	return a
}

// nameless gives the engine a name where it did not tell one.
func (d *daemon) nameless(v *host.View, e *snapshot.Engine) {
	e.Name = cmp.Or(e.Name, v.NameOf(d.home()))
}
