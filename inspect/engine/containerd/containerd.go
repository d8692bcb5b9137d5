package containerd

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/engine/internal/oci"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Family finds containerd's daemons and the shims that outlived one.
type Family struct{}

// The defaults of containerd's defaults/defaults_unix.go.
const (
	defaultState  = "/run/containerd"
	defaultConfig = "/etc/containerd/config.toml"
)

// taskDir is the folder of the tasks' bundles in the state folder (plugin id of runtime v2).
const taskDir = "io.containerd.runtime.v2.task"

// daemon is a state folder and who uses it.
type daemon struct {
	place host.Place
	proc  *netns.Process
	shims []*netns.Process
	state string
	// socket is its gRPC address, which is not spoken to.
	socket string
}

// Find returns an engine for every state folder that a containerd or a shim leads to.
func (Family) Find(v *host.View) []host.Engine {
	var all []*daemon
	find := func(place host.Place, state string) *daemon {
		i := slices.IndexFunc(all, func(d *daemon) bool { return d.place == place && trimVar(d.state) == trimVar(state) })
		if i < 0 {
			i, all = len(all), append(all, &daemon{place: place, state: state})
		}
		return all[i]
	}
	for _, p := range v.Table.Named("containerd") {
		place, ok := v.PlaceOf(p)
		if !ok {
			continue
		}
		state, socket := configured(place.Root, p.Args)
		d := find(place, state)
		d.proc, d.socket = p, socket
	}
	for _, p := range v.Table.Named("containerd-shim-runc-v2", "containerd-shim-runc-v1") {
		place, ok := v.PlaceOf(p)
		if !ok || isDockers(host.Arg(p.Args, "-namespace", "--namespace")) {
			continue
		}
		if state := shimState(v, p); state != "" {
			d := find(place, state)
			d.shims = append(d.shims, p)
		}
	}
	engines := make([]host.Engine, len(all))
	for i, d := range all {
		engines[i] = d
	}
	return engines
}

// isDockers tells whether a namespace is one that Docker makes (moby's daemon/containerd).
func isDockers(namespace string) bool { return namespace == "moby" || namespace == "plugins.moby" }

func trimVar(p string) string {
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		return "/run/" + rest
	}
	return p
}

// configured finds the state folder and the socket: on the command line, in the configuration file, or the default.
func configured(root host.Root, args []string) (state, socket string) {
	data, _ := root.ReadFile(cmp.Or(host.Arg(args, "--config", "-c"), defaultConfig), 1<<20)
	state = cmp.Or(host.Arg(args, "--state"), topLevel(data, "state"), defaultState)
	socket = cmp.Or(host.Arg(args, "--address", "-a"), section(data, "grpc", "address"), path.Join(defaultState, "containerd.sock"))
	return state, socket
}

// topLevel finds a string of a TOML file before its first table, which is where containerd has root and state.
func topLevel(data []byte, key string) string { return section(data, "", key) }

// section finds a string in a table of a TOML file. It reads what containerd and Docker write, a key and a quoted string in
// one line; multi-line strings and dotted keys are not for these settings.
func section(data []byte, table, key string) string {
	in := ""
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			in = strings.TrimSpace(strings.Trim(line, "[]"))
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok || in != table || strings.Trim(strings.TrimSpace(k), `"'`) != key {
			continue
		}
		v = strings.TrimSpace(v)
		if len(v) < 2 || v[0] != '"' && v[0] != '\'' {
			continue
		}
		if end := strings.IndexByte(v[1:], v[0]); end >= 0 {
			return v[1 : 1+end]
		}
	}
	return ""
}

// shimState finds the state folder of a shim: its working folder is the bundle, and where that may not be read the folder of its
// containerd's socket is the likely one.
func shimState(v *host.View, p *netns.Process) string {
	if dir, err := os.Readlink(filepath.Join(v.Proc, strconv.Itoa(p.PID), "cwd")); err == nil {
		if state, _, ok := strings.Cut(dir, "/"+taskDir+"/"); ok {
			return state
		}
	}
	if address := host.Arg(p.Args, "-address", "--address"); path.IsAbs(address) {
		return path.Dir(address)
	}
	return ""
}

// Read reads the bundles of all namespaces but Docker's.
func (d *daemon) Read(ctx context.Context, v *host.View) host.Answer {
	var a host.Answer
	root := d.place.Root
	home := d.proc
	if home == nil && len(d.shims) > 0 {
		home = d.shims[0]
	}
	e := &snapshot.Engine{Kind: "containerd", Root: root.Prefix, StateDir: d.state, Source: "state"}
	if d.socket != "" {
		e.Endpoint = "unix://" + d.socket
	}
	if home != nil {
		e.Home = home.NetNS
	}
	if d.proc != nil {
		e.PID = d.proc.PID
	}
	dir := path.Join(d.state, taskDir)
	namespaces, err := root.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.Error = err.Error()
		a.Engine = e
		a.Gap(host.Needs(err), err)
		return a
	}
	cni := oci.CNI(root)
	docker := false
	for _, ns := range namespaces {
		if isDockers(ns) {
			docker = true
			continue
		}
		ids, err := root.ReadDir(path.Join(dir, ns))
		if err != nil {
			continue
		}
		for _, id := range ids {
			if ctx.Err() != nil {
				break
			}
			d.task(v, &a, ns, id, home, cni)
		}
	}
	if len(a.Workloads) == 0 && (docker || d.proc == nil || d.ofDocker(v)) {
		// It runs for Docker only, or not at all.
		return host.Answer{}
	}
	e.Name = v.NameOf(home)
	a.Engine = e
	return a
}

// ofDocker tells whether it was started by dockerd, for its own use.
func (d *daemon) ofDocker(v *host.View) bool {
	p := v.Table.Get(d.proc.PPID)
	return p != nil && p.Comm == "dockerd"
}

// task reads one bundle. One that is not readable is just being made or just going away.
func (d *daemon) task(v *host.View, a *host.Answer, namespace, id string, home *netns.Process, cni map[string]oci.Attachments) {
	root := d.place.Root
	bundle := path.Join(d.state, taskDir, namespace, id)
	c, err := oci.Read(root, bundle)
	if err != nil {
		return
	}
	w := workload(namespace, id, c)
	if at, ok := cni[cmp.Or(c.Annotations[annSandboxID], id)]; ok && (w.Pod == nil || w.Pod.Sandbox) {
		w.Endpoints = append(w.Endpoints, at.Endpoints...)
		if len(w.Ports) == 0 && len(at.Ports) > 0 {
			w.Ports = at.Ports
		}
	}
	w.State = "unknown"
	if a.Locate(v, &w, oci.ReadPID(root, path.Join(bundle, "init.pid")), home, root) != nil {
		w.State = "running"
	}
	a.Workloads = append(a.Workloads, w)
}
