package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

const dbID = "274f7442795ff33b083ca623d359e84c418b4447a6d9cf68118deda341279471"

// A killed dockerd: nothing but a shim leads to its files, which are at an unusual place.
func TestOrphans(t *testing.T) {
	p := place(t)
	root := p.Root.Prefix
	if err := os.CopyFS(root+"/srv/my/docker", os.DirFS("testdata/data-root")); err != nil {
		t.Fatal(err)
	}
	bundle := root + "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/" + dbID
	write(t, bundle+"/config.json", `{"hostname":"x","mounts":[{"destination":"/proc","source":"proc"},
		{"destination":"/etc/hosts","source":"/srv/my/docker/containers/`+dbID+`/hosts"}]}`)
	write(t, bundle+"/init.pid", "60")
	shim := netns.Process{
		PID: 1213, PPID: 1, Comm: "containerd-shim", Exe: "/usr/bin/containerd-shim-runc-v2", NSPids: []int{1213, 50}, PidNS: 20, MntNS: p.MntNS, NetNS: "4:200", Root: root,
		Args: []string{"/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", dbID, "-address", "/var/run/docker/containerd/containerd.sock"},
	}
	lost := strings.Repeat("c0", 32)
	shim2 := shim
	shim2.PID, shim2.NSPids = 1300, []int{1300, 51}
	shim2.Args = []string{shim.Args[0], "-namespace", "moby", "-id", lost, "-address", shim.Args[6]}
	write(t, root+"/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/"+lost+"/config.json", `{"hostname":"lost"}`)
	write(t, root+"/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/"+lost+"/init.pid", "70\n")
	doc, err := readContainer(p.Root, "/srv/my/docker/containers/"+dbID)
	if err != nil {
		t.Fatal(err)
	}
	v := view(t, p, []netns.Process{
		shim, shim2,
		{PID: 1239, PPID: 1213, NSPids: []int{1239, doc.State.Pid, 1}, PidNS: 21, NetNS: "4:201", Cgroup: "/lab/" + dbID},
		{PID: 1310, PPID: 1300, NSPids: []int{1310, 70, 1}, PidNS: 22, NetNS: "4:202", Cgroup: "/lab/" + lost},
	})
	v.Hostname = func(pid int) string { return fmt.Sprint("host of ", pid) }
	a := read(t, v, p)
	e := a.Engine
	if e == nil || e.StateDir != "/srv/my/docker" || e.Home != "4:200" || e.Name != "host of 1213" || e.PID != 0 {
		t.Fatalf("engine %+v", e)
	}
	if s := e.Swarm; s == nil || s.NodeID != "zrti9g3h8z5bc88zv7yivj5xm" || s.NodeAddr != "10.99.0.2" || s.Manager {
		t.Errorf("swarm %+v", s)
	}
	w := byName(a)
	if len(w) != 7 {
		t.Errorf("%d containers, want 7", len(w))
	}
	if db := w["db"]; db.PID != 1239 || db.Namespace != "4:201" || db.State != "running" || db.Mode != "appnet" || len(db.Ports) != 1 || db.Ports[0].HostPort != 5432 {
		t.Errorf("db: %+v", db)
	}
	if l := w[lost[:12]]; l.PID != 1310 || l.Hostname != "lost" || l.State != "running" {
		t.Errorf("a container that only its shim tells of: %+v", l)
	}
	// Its process is not there: the file's "running" is history.
	if q := w["queue"]; q.State != "unknown" || q.PID != 0 || q.Namespace != "" {
		t.Errorf("queue: %+v", q)
	}
	web := w["web.2.1on4l2ho5oxa4iesqe8jy22vf"]
	for _, ep := range web.Endpoints {
		if len(ep.VIPs) != 1 {
			t.Errorf("web's endpoint on %s has the VIPs %v", ep.NetworkName, ep.VIPs)
		}
	}
	nets := map[string]snapshot.Network{}
	for _, n := range a.Networks {
		nets[n.Name] = n
	}
	app := nets["appnet"]
	if app.Bridge != "br-3a6e7c66379b" || app.Driver != "bridge" || len(app.Subnets) != 1 || app.Subnets[0].Gateway.String() != "172.18.0.1" {
		t.Errorf("appnet: %+v", app)
	}
	if b := nets["backend"]; b.Scope != "swarm" || b.Driver != "" || len(b.Subnets) != 1 || b.Subnets[0].Subnet.String() != "10.0.1.0/24" {
		t.Errorf("backend: %+v", b)
	}
	for _, s := range a.Services {
		if s.Name == "web" && (len(s.VIPs) != 2 || len(s.Ports) != 1 || s.Ports[0].HostPort != 8000 || len(s.Tasks) != 2) {
			t.Errorf("web: %+v", s)
		}
	}
	if len(a.Services) != 3 {
		t.Errorf("%d services, want 3", len(a.Services))
	}
}

// No engine at all: nothing, and no gap.
func TestNothing(t *testing.T) {
	p := place(t)
	v := view(t, p, nil)
	for _, e := range (Family{}).Find(v) {
		if e.(*daemon).place == p {
			t.Errorf("an engine: %+v", e)
		}
	}
	// A socket that was left behind by one that has no containers is none either.
	l := listen(t, p)
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	l.Close()
	if a := read(t, v, p); a.Engine != nil || len(a.Gaps) > 0 {
		t.Errorf("%+v", a)
	}
}

// systemd listens for an engine that is not running: connecting would start it.
func TestSocketActivation(t *testing.T) {
	p := place(t)
	if err := os.CopyFS(p.Root.Prefix+"/var/lib/docker", os.DirFS("testdata/data-root")); err != nil {
		t.Fatal(err)
	}
	l := listen(t, p)
	accepted := make(chan struct{})
	go func() {
		if conn, err := l.Accept(); err == nil {
			close(accepted)
			conn.Close()
		}
	}()
	v := view(t, p, []netns.Process{{PID: 1, Comm: "systemd", MntNS: p.MntNS, NSPids: []int{1}}})
	a := read(t, v, p)
	if !hasGap(a, "no dockerd is running") || len(a.Workloads) != 6 {
		t.Errorf("%+v", a.Gaps)
	}
	select {
	case <-accepted:
		t.Error("the socket was connected to")
	default:
	}
}

func TestBrokenFiles(t *testing.T) {
	p := place(t)
	dir := p.Root.Prefix + "/var/lib/docker"
	if err := os.CopyFS(dir, os.DirFS("testdata/data-root")); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/containers/"+strings.Repeat("b0", 32)+"/config.v2.json", `{"ID": 5`)
	write(t, dir+"/containers/"+strings.Repeat("b1", 32)+"/config.v2.json", `{"ID": "`+dbID+`"}`)
	if err := os.Mkdir(dir+"/containers/"+strings.Repeat("b2", 32), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/network/files/local-kv.db", "rubbish")
	write(t, dir+"/swarm/certificates/swarm-node.crt", "rubbish")
	v := view(t, p, nodeProcesses(p))
	a := read(t, v, p)
	if len(a.Workloads) != 6 || !hasGap(a, "b0b0b0b0b0b0, b1b1b1b1b1b1 are not readable") {
		t.Errorf("%d containers, gaps %+v", len(a.Workloads), a.Gaps)
	}
	// Networks are then known from the containers.
	found := false
	for _, n := range a.Networks {
		found = found || n.Name == "appnet" && n.Subnets[0].Subnet.String() == "172.18.0.0/16"
	}
	if !found {
		t.Errorf("networks: %+v", a.Networks)
	}
}

func write(t *testing.T, name, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestNamed(t *testing.T) {
	home := t.TempDir()
	meta := filepath.Join(home, ".docker/contexts/meta")
	write(t, meta+"/a/meta.json", `{"Name":"rootless","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/user/1000/docker.sock","SkipTLSVerify":false}}}`)
	write(t, meta+"/b/meta.json", `{"Name":"far","Endpoints":{"docker":{"Host":"ssh://me@far"}}}`)
	write(t, meta+"/c/meta.json", `{`)
	env := map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:2375"}
	got := Named(home, func(k string) string { return env[k] })
	if fmt.Sprint(got) != "[tcp://127.0.0.1:2375 unix:///run/user/1000/docker.sock]" {
		t.Errorf("%v", got)
	}
}

func TestDocument(t *testing.T) {
	doc, err := parseConfig([]byte(`{"ID":"` + dbID + `","Name":"/x","State":{"Running":false,"StartedAt":"0001-01-01T00:00:00Z"},
		"NetworkSettings":{"Ports":{"53/udp":[{"HostIp":"127.0.0.1","HostPort":"5353"}],"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],"81/tcp":null,"x/tcp":[]},
		"Networks":{"none":null,"six":{"GlobalIPv6Address":"fd00::2","GlobalIPv6PrefixLen":64,"IPv6Gateway":"fd00::1/64","IPAddress":"rubbish","IPPrefixLen":99}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	w := doc.workload("state")
	if w.State != "created" || fmt.Sprint(w.Ports) != "[{tcp invalid IP 0 81 } {udp 127.0.0.1 5353 53 } {tcp invalid IP 8080 80 }]" {
		t.Errorf("%s %v", w.State, w.Ports)
	}
	if len(w.Endpoints) != 1 || w.Endpoints[0].Addr6.String() != "fd00::2/64" || w.Endpoints[0].Gateway6.String() != "fd00::1" || w.Endpoints[0].Addr.IsValid() {
		t.Errorf("%+v", w.Endpoints)
	}
}

func FuzzConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/data-root/containers/*/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = parseHostConfig(data)
		doc, err := parseConfig(data)
		if err != nil {
			return
		}
		w := doc.workload("state")
		if w.Labels == nil || w.Endpoints == nil || w.Ports == nil || w.Name == "" {
			t.Errorf("%+v", w)
		}
		servicesOf([]document{doc})
	})
}

func FuzzNetworks(f *testing.F) {
	data, err := os.ReadFile("testdata/data-root/network/files/local-kv.db")
	if err != nil {
		f.Fatal(err)
	}
	if n := parseNetworks(data); len(n) != 5 {
		f.Fatalf("%d networks, want 5", len(n))
	}
	f.Add(data, uint32(0), byte(0))
	f.Fuzz(func(_ *testing.T, data []byte, at uint32, b byte) {
		if len(data) > 0 {
			// One damaged byte gets past the checks more often than random data does.
			data = append([]byte(nil), data...)
			data[int(at)%len(data)] = b
		}
		parseNetworks(data)
	})
}

// A user's own engine: its defaults depend on its environment, and root's files are not its.
func TestRootless(t *testing.T) {
	p := place(t)
	if err := os.CopyFS(p.Root.Prefix+"/var/lib/docker", os.DirFS("testdata/data-root")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ string
		want    int
	}{
		"known":   {"HOME=/home/me\x00XDG_RUNTIME_DIR=/run/user/1000\x00", 1},
		"unknown": {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			id := strings.Repeat("e", 64)
			write(t, p.Root.Prefix+"/home/me/.local/share/docker/containers/"+id+"/config.v2.json", `{"ID":"`+id+`","Name":"/mine"}`)
			v := view(t, p, []netns.Process{
				{PID: 40, Comm: "rootlesskit", NSPids: []int{40}},
				{PID: 41, PPID: 40, Comm: "exe", NSPids: []int{41}},
				{PID: 42, PPID: 41, Comm: "dockerd", Exe: "dockerd", Args: []string{"dockerd"}, NSPids: []int{42}, MntNS: p.MntNS, Root: p.Root.Prefix},
			})
			if c.environ != "" {
				write(t, v.Proc+"/42/environ", c.environ)
			}
			a := read(t, v, p)
			if len(a.Workloads) != c.want || a.Engine == nil || a.Engine.PID != 42 {
				t.Errorf("%+v", a)
			}
			if c.want == 1 && (a.Workloads[0].Name != "mine" || a.Engine.Endpoint != "unix:///run/user/1000/docker.sock") {
				t.Errorf("%+v", a)
			}
		})
	}
}
