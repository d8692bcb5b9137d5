package docker

import (
	"encoding/json"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/netns"
)

// daemon is one engine, or what is left of one.
type daemon struct {
	kind  string
	place host.Place
	// proc is the daemon's process, nil where none was found.
	proc *netns.Process
	// shims are containerd's shims of its containers; they outlive it.
	shims []*netns.Process
	// sockets are paths in place, the likeliest first; url is set instead for an endpoint that is no unix socket.
	sockets []string
	url     string
	// asked is set where the user named it.
	asked bool
	// skip is set while others were named and it was not.
	skip bool
	// supplement asks more where the engine is Podman, apiOnly is set for one without Docker's files.
	supplement Supplement
	apiOnly    bool
	// closed says why its process's mount namespace cannot be looked into, nil where it can.
	closed error
	// dataRoot and execRoot are "" where nothing tells them.
	dataRoot, execRoot string
}

// Where dockerd puts things by default (moby's cmd/dockerd/daemon_unix.go, daemon/config).
const (
	defaultSocket   = "/run/docker.sock"
	defaultDataRoot = "/var/lib/docker"
	defaultExecRoot = "/run/docker"
)

// configFile is the part of /etc/docker/daemon.json that says where things are.
type configFile struct {
	Hosts    []string `json:"hosts"`
	DataRoot string   `json:"data-root"`
	Graph    string   `json:"graph"` // data-root's name up to 17.05
	ExecRoot string   `json:"exec-root"`
}

// maxConfig bounds daemon.json, config.v2.json and their like.
const maxConfig = 8 << 20

// ofProcess reads a dockerd's command line and configuration file. Of a value given in both dockerd itself makes an error.
func ofProcess(v *host.View, p *netns.Process) *daemon {
	place, ok := v.PlaceOf(p)
	d := &daemon{kind: "docker", place: place, proc: p}
	if !ok {
		d.closed = &fs.PathError{Op: "look into", Path: p.Root, Err: fs.ErrPermission}
		return d
	}
	var file configFile
	name := host.Arg(p.Args, "--config-file")
	if name == "" {
		name = "/etc/docker/daemon.json"
	}
	if data, err := place.Root.ReadFile(name, maxConfig); err == nil {
		// A file that dockerd itself would refuse says nothing.
		_ = json.Unmarshal(data, &file)
	}
	hosts := append(host.Args(p.Args, "-H", "--host"), file.Hosts...)
	for _, h := range hosts {
		switch scheme, rest, _ := strings.Cut(h, "://"); {
		case scheme == "unix":
			d.sockets = append(d.sockets, rest)
		case strings.HasPrefix(h, "/"):
			d.sockets = append(d.sockets, h)
		}
	}
	if rootless(v, p) {
		d.users(v)
	}
	// The default, and what systemd hands over for fd://.
	d.sockets = append(d.sockets, defaultSocket, "/var/run/docker.sock")
	d.dataRoot = first(host.Arg(p.Args, "--data-root", "-g", "--graph"), file.DataRoot, file.Graph, d.dataRoot)
	d.execRoot = first(host.Arg(p.Args, "--exec-root"), file.ExecRoot, d.execRoot)
	return d
}

// rootless tells whether a dockerd was started by rootlesskit, as a user's own engine is.
func rootless(v *host.View, p *netns.Process) bool {
	for range 8 {
		if p = v.Table.Get(p.PPID); p == nil {
			return false
		}
		if strings.HasPrefix(p.Comm, "rootlesskit") || p.Comm == "exe" && path.Base(p.Exe) == "rootlesskit" {
			return true
		}
	}
	return false
}

// users sets what is the default of a user's own engine, which depends on its environment (moby's pkg/homedir).
func (d *daemon) users(v *host.View) {
	// What it is by default for root is another engine's: better a folder that does not exist.
	d.dataRoot = "/nonexistent"
	data, err := host.Root{}.ReadFile(filepath.Join(v.Proc, strconv.Itoa(d.proc.PID), "environ"), 1<<20)
	if err != nil {
		return
	}
	env := map[string]string{}
	for entry := range strings.SplitSeq(string(data), "\x00") {
		k, value, _ := strings.Cut(entry, "=")
		env[k] = value
	}
	if dir := env["XDG_RUNTIME_DIR"]; path.IsAbs(dir) {
		d.sockets = append(d.sockets, path.Join(dir, "docker.sock"))
		d.execRoot = path.Join(dir, "docker")
	}
	if dir := env["XDG_DATA_HOME"]; path.IsAbs(dir) {
		d.dataRoot = path.Join(dir, "docker")
	} else if home := env["HOME"]; path.IsAbs(home) {
		d.dataRoot = path.Join(home, ".local/share/docker")
	}
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// home is the process whose namespaces the engine's are: its own or, where it is dead, one that it left.
func (d *daemon) home() *netns.Process {
	if d.proc != nil {
		return d.proc
	}
	if len(d.shims) > 0 {
		return d.shims[0]
	}
	return nil
}

// activated tells whether connecting to the engine's sockets might start it: no process of it is there, and systemd, which may
// listen in its place (docker.socket), is. Starting an engine changes the firewall, so it is not done for a look.
func (d *daemon) activated(v *host.View) bool {
	init := v.Table.Get(1)
	return d.kind == "docker" && d.proc == nil && !d.asked && d.url == "" &&
		init != nil && init.Comm == "systemd" && init.MntNS != 0 && init.MntNS == d.place.MntNS
}

// shimGroup is the shims of one containerd that are children of one engine's mount namespace.
type shimGroup struct {
	mntNS   uint64
	address string
	shims   []*netns.Process
}

// shims lists the processes that containerd keeps for Docker's containers ("-namespace moby -id <id> -address <socket>"),
// by mount namespace and containerd.
func shims(v *host.View) []shimGroup {
	var groups []shimGroup
	for _, p := range v.Table.Named("containerd-shim-runc-v2", "containerd-shim-runc-v1", "containerd-shim") {
		if host.Arg(p.Args, "-namespace", "--namespace") != "moby" || shimID(p) == "" || isBrief(p) {
			continue
		}
		address := host.Arg(p.Args, "-address", "--address")
		i := slices.IndexFunc(groups, func(g shimGroup) bool { return g.mntNS == p.MntNS && g.address == address })
		if i < 0 {
			i, groups = len(groups), append(groups, shimGroup{mntNS: p.MntNS, address: address})
		}
		groups[i].shims = append(groups[i].shims, p)
	}
	return groups
}

// isBrief tells a shim's binary at starting or deleting a container, which ends at once, from one that stays with it.
func isBrief(p *netns.Process) bool {
	last := p.Args[len(p.Args)-1]
	return last == "start" || last == "delete"
}

// shimID is the container of a shim. The old shim of runtime v1 has only -workdir …/<id>.
func shimID(p *netns.Process) string {
	id := host.Arg(p.Args, "-id", "--id")
	if id == "" {
		id = path.Base(host.Arg(p.Args, "-workdir", "--workdir"))
	}
	if !isID(id) {
		return ""
	}
	return id
}

// isID tells whether s is a container id: 64 hexadecimal digits.
func isID(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// keeps tells whether a group of shims is the engine's: they share its mount namespace and its containerd.
func (d *daemon) keeps(g shimGroup) bool {
	if d.proc == nil || d.proc.MntNS != g.mntNS {
		return false
	}
	if address := host.Arg(d.proc.Args, "--containerd"); address != "" {
		return address == g.address
	}
	// Its own containerd, or the machine's, which it uses if there is one.
	exec := d.execRoot
	if exec == "" {
		exec = defaultExecRoot
	}
	return under(g.address, exec) || strings.HasSuffix(g.address, "/run/containerd/containerd.sock")
}

// under tells whether a path is below a folder, with /var/run for the /run that it links to.
func under(file, dir string) bool {
	return strings.HasPrefix(trimVar(file), strings.TrimSuffix(trimVar(dir), "/")+"/")
}

func trimVar(p string) string {
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		return "/run/" + rest
	}
	return p
}
