package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// recorded serves what a real engine of a two-node swarm (20.10.24, API 1.41, a manager) answered, from testdata/api.
func recorded(version string) http.Handler {
	mux := http.NewServeMux()
	file := func(w http.ResponseWriter, name string) {
		data, err := os.ReadFile(filepath.Join("testdata/api", name+".json"))
		if err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"message":"no such thing: %s"}`, name)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data)
	}
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", version)
		fmt.Fprint(w, "OK")
	})
	v := "/v" + version
	mux.HandleFunc(v+"/containers/json", func(w http.ResponseWriter, _ *http.Request) { file(w, "containers") })
	for _, name := range []string{"info", "networks", "services", "tasks", "nodes"} {
		mux.HandleFunc(v+"/"+name, func(w http.ResponseWriter, _ *http.Request) { file(w, name) })
	}
	mux.HandleFunc(v+"/containers/{id}/json", func(w http.ResponseWriter, r *http.Request) { file(w, "container-"+r.PathValue("id")) })
	mux.HandleFunc(v+"/networks/{id}", func(w http.ResponseWriter, r *http.Request) { file(w, "network-"+r.PathValue("id")) })
	return mux
}

// place is a folder with the folders of a machine in it.
func place(t *testing.T) host.Place {
	t.Helper()
	// The path of a socket below t.TempDir may be too long to bind.
	dir, err := os.MkdirTemp("", "nscope")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, d := range []string{"run", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/run", filepath.Join(dir, "var/run")); err != nil {
		t.Fatal(err)
	}
	return host.Place{Root: host.Root{Prefix: dir}, MntNS: 77}
}

func listen(t *testing.T, p host.Place) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", p.Root.Prefix+"/run/docker.sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func serve(t *testing.T, p host.Place, h http.Handler) {
	t.Helper()
	srv := &http.Server{Handler: h}
	l := listen(t, p)
	go srv.Serve(l) //nolint:errcheck // it ends with the test
	t.Cleanup(func() { srv.Close() })
}

// nodeProcesses is the manager's process tree as the machine around it sees it: its engine has pid 30 in its own pid namespace.
func nodeProcesses(p host.Place) []netns.Process {
	const daemon, cache, web = 760, 1498, 8979
	proc := func(pid, ppid int, pidns uint64, ns string, cgroup string, nspids ...int) netns.Process {
		return netns.Process{PID: pid, PPID: ppid, PidNS: pidns, NetNS: snapshot.NSID(ns), Cgroup: cgroup, NSPids: nspids, MntNS: 5}
	}
	d := proc(daemon, 700, 20, "4:100", "/lab/init", daemon, 30)
	d.Comm, d.Exe, d.Args, d.MntNS, d.Root = "dockerd", "dockerd", []string{"dockerd", "--host", "unix:///run/docker.sock"}, p.MntNS, p.Root.Prefix
	return []netns.Process{
		proc(1, 0, 1, "4:1", "/", 1),
		proc(700, 1, 20, "4:100", "/lab/init", 700, 1),
		d,
		proc(1475, 700, 20, "4:100", "/lab/init", 1475, 326),
		proc(cache, 1475, 30, "4:101", "/lab/508e2702bee42c6a18a169d3078790b27b01a36fb6c045f2c7ff8017ee429e6a", cache, 347, 1),
		proc(8958, 700, 20, "4:100", "/lab/init", 8958, 580),
		proc(web, 8958, 31, "4:102", "/lab/99ef0727b3142e1b613a3de10e1462146affc532c624d7f02b332f1b908a5f95", web, 599, 1),
		// Another engine's container with the same pid in its own pid namespace.
		proc(5000, 4999, 90, "4:900", "/lab2/"+strings.Repeat("ab", 32), 5000, 347, 1),
	}
}

func view(t *testing.T, p host.Place, processes []netns.Process) *host.View {
	t.Helper()
	proc := t.TempDir()
	for _, name := range []string{"net", "mnt"} {
		if err := os.MkdirAll(filepath.Join(proc, "self/ns"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, "self/ns", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v := host.NewView(proc, processes)
	v.Timeout = 2 * time.Second
	v.FindPlaces()
	v.Places = append(v.Places, p)
	return v
}

// read reads the one engine of a place; its own sockets are those of the machine that the test runs on.
func read(t *testing.T, v *host.View, p host.Place) host.Answer {
	t.Helper()
	var answers []host.Answer
	for _, e := range (Family{}).Find(v) {
		if e.(*daemon).place == p {
			answers = append(answers, e.Read(context.Background(), v))
		}
	}
	if len(answers) != 1 {
		t.Fatalf("%d engines in the place, want 1", len(answers))
	}
	return answers[0]
}

func byName(a host.Answer) map[string]snapshot.Workload {
	m := map[string]snapshot.Workload{}
	for _, w := range a.Workloads {
		m[w.Name] = w
	}
	return m
}

func TestAPI(t *testing.T) {
	p := place(t)
	serve(t, p, recorded("1.41"))
	v := view(t, p, nodeProcesses(p))
	a := read(t, v, p)
	if len(a.Gaps) != 0 {
		t.Errorf("gaps of a healthy engine: %v", a.Gaps)
	}
	e := a.Engine
	if e == nil || !e.Reachable || e.Name != "node1" || e.Version != "20.10.24+dfsg1" || e.APIVersion != "1.41" || e.PID != 760 || e.Home != "4:100" {
		t.Fatalf("engine %+v", e)
	}
	if e.Swarm == nil || !e.Swarm.Manager || e.Swarm.NodeAddr != "10.99.0.1" || len(e.Swarm.Nodes) != 2 {
		t.Errorf("swarm %+v", e.Swarm)
	}
	w := byName(a)
	if len(w) != 7 {
		t.Errorf("%d containers, want 7", len(w))
	}
	cache := w["cache"]
	if cache.PID != 1498 || cache.Namespace != "4:101" || cache.Mode != "backend" || cache.Image != "nscope-test/busybox:1" || cache.Source != "api" {
		t.Errorf("cache: %+v", cache)
	}
	if len(cache.Endpoints) != 1 || cache.Endpoints[0].Addr.String() != "10.0.1.13/24" || cache.Endpoints[0].MAC != "02:42:0a:00:01:0d" || cache.Endpoints[0].Network != "ogpjfmfsxwcktzaz8zdsmiqeu" {
		t.Errorf("cache's endpoints: %+v", cache.Endpoints)
	}
	web := w["web.1.r3qcpzd1gkcm1ju2ml17nnvn5"]
	if web.PID != 8979 || web.Service != "jjdi0bbqk8voqqd61mahtfee5" || web.Task != "r3qcpzd1gkcm1ju2ml17nnvn5" {
		t.Errorf("web: %+v", web)
	}
	edge := w["edge.hoilq4gddw7oayv5gxvpsscvk.mv5v4hxpqohjtua83rioh8zu1"]
	if want := []snapshot.Port{{Proto: "tcp", HostPort: 8001, Port: 80}}; fmt.Sprint(edge.Ports) != fmt.Sprint(want) {
		t.Errorf("edge publishes %v, want %v", edge.Ports, want)
	}
	if edge.PID != 0 || edge.Namespace != "" {
		t.Errorf("edge has no process in the table, but is said to be %d in %s", edge.PID, edge.Namespace)
	}
	nets := map[string]snapshot.Network{}
	for _, n := range a.Networks {
		nets[n.Name] = n
	}
	backend := nets["backend"]
	if backend.Driver != "overlay" || fmt.Sprint(backend.VNIs) != "[4097]" || len(backend.Peers) != 1 || !backend.Attachable {
		t.Errorf("backend: %+v", backend)
	}
	if nets["bridge"].Bridge != "docker0" || nets["docker_gwbridge"].Bridge != "docker_gwbridge" || !nets["ingress"].Ingress {
		t.Errorf("networks: %+v", a.Networks)
	}
	for _, s := range a.Services {
		if s.Name != "web" {
			continue
		}
		if s.Mode != "replicated" || s.Replicas != 3 || s.EndpointMode != "vip" || len(s.VIPs) != 2 || len(s.Tasks) < 3 {
			t.Errorf("web: %+v", s)
		}
		if len(s.Ports) != 1 || s.Ports[0].Mode != "ingress" || s.Ports[0].HostPort != 8000 {
			t.Errorf("web publishes %+v", s.Ports)
		}
	}
	if len(a.Services) != 3 {
		t.Errorf("%d services, want 3", len(a.Services))
	}
}

// An engine whose inspections hang: what the list said is kept, and one gap says how many lack the rest.
func TestPartial(t *testing.T) {
	p := place(t)
	full := recorded("1.41")
	serve(t, p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1.41/containers/5") {
			<-r.Context().Done()
			return
		}
		full.ServeHTTP(w, r)
	}))
	v := view(t, p, nodeProcesses(p))
	v.Timeout = 300 * time.Millisecond
	a := read(t, v, p)
	w := byName(a)
	if len(w) != 7 || w["web.1.r3qcpzd1gkcm1ju2ml17nnvn5"].PID != 8979 {
		t.Errorf("%d containers: %+v", len(w), w)
	}
	if c := w["cache"]; c.State != "running" || c.PID != 0 || len(c.Endpoints) != 1 || c.Mode != "backend" {
		t.Errorf("cache, from the list: %+v", c)
	}
	if !hasGap(a, "1 of 7 containers") {
		t.Errorf("gaps: %+v", a.Gaps)
	}
}

func hasGap(a host.Answer, text string) bool {
	for _, g := range a.Gaps {
		if strings.Contains(g.Error, text) {
			return true
		}
	}
	return false
}

// Every way of not answering costs at most the deadline, and leads to the state files.
func TestNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		start func(t *testing.T, p host.Place)
		gap   string
	}{
		"hangs": {func(t *testing.T, p host.Place) { listen(t, p) }, "does not answer within"},
		"hangs after ping": {func(t *testing.T, p host.Place) {
			serve(t, p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/_ping" {
					w.Header().Set("Api-Version", "1.41")
					return
				}
				<-r.Context().Done()
			}))
		}, "does not answer within"},
		"nonsense": {func(t *testing.T, p host.Place) {
			l := listen(t, p)
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					fmt.Fprint(conn, "SSH-2.0-OpenSSH_9.2\r\n")
					conn.Close()
				}
			}()
		}, ""},
		"another server": {func(t *testing.T, p host.Place) {
			serve(t, p, http.NotFoundHandler())
		}, ""},
		"no JSON": {func(t *testing.T, p host.Place) {
			serve(t, p, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Api-Version", "1.41")
				fmt.Fprint(w, "<html>")
			}))
		}, ""},
		"too much": {func(t *testing.T, p host.Place) {
			full := recorded("1.41")
			serve(t, p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/containers/json") {
					w.Header().Set("Content-Length", fmt.Sprint(int64(host.MaxAnswer)+1))
					return
				}
				full.ServeHTTP(w, r)
			}))
		}, "larger than its limit"},
		"old": {func(t *testing.T, p host.Place) { serve(t, p, recorded("1.39")) }, "speaks API 1.39, older than 1.40: its state files were read instead"},
		"refuses": {func(t *testing.T, p host.Place) {
			l := listen(t, p)
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			l.Close()
		}, "nobody listens"},
		"no socket": {func(*testing.T, host.Place) {}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			p := place(t)
			if err := os.CopyFS(p.Root.Prefix+"/var/lib/docker", os.DirFS("testdata/data-root")); err != nil {
				t.Fatal(err)
			}
			c.start(t, p)
			v := view(t, p, nodeProcesses(p))
			v.Timeout = 300 * time.Millisecond
			start := time.Now()
			a := read(t, v, p)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if a.Engine == nil || a.Engine.Reachable || a.Engine.Source != "state" || a.Engine.StateDir != "/var/lib/docker" {
				t.Fatalf("engine %+v", a.Engine)
			}
			if len(a.Workloads) != 6 || a.Workloads[0].Source != "state" {
				t.Errorf("%d containers from disk, want 6", len(a.Workloads))
			}
			if len(a.Gaps) != 1 || !hasGap(a, c.gap) {
				t.Errorf("gaps %+v, want one with %q", a.Gaps, c.gap)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	for want, err := range map[string]error{
		"root or group docker":                          &fs.PathError{Op: "connect", Err: fs.ErrPermission},
		"an engine that answers, or a longer --timeout": context.DeadlineExceeded,
		"": errors.New("other"),
	} {
		if got := needs(err); got != want {
			t.Errorf("needs(%v) = %q, want %q", err, got, want)
		}
	}
}

// An engine that is asked by network and whose containers are not here is not this machine's.
func TestElsewhere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: recorded("1.41")}
	go srv.Serve(l) //nolint:errcheck // it ends with the test
	defer srv.Close()
	url := "tcp://" + l.Addr().String()
	p := place(t)
	for name, c := range map[string]struct {
		processes []netns.Process
		want      int
	}{
		"elsewhere": {nil, 0},
		"here":      {nodeProcesses(p), 7},
	} {
		t.Run(name, func(t *testing.T) {
			v := view(t, p, c.processes)
			engines := Family{Asked: []string{url}}.Find(v)
			if len(engines) != 1 {
				t.Fatalf("%d engines", len(engines))
			}
			a := engines[0].Read(context.Background(), v)
			if len(a.Workloads) != c.want {
				t.Errorf("%d containers, want %d", len(a.Workloads), c.want)
			}
			if (c.want == 0) != hasGap(a, "none of its containers runs on this host") {
				t.Errorf("gaps %+v", a.Gaps)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	for url, want := range map[string]string{
		"tcp://10.0.0.1:2375":  "10.0.0.1:2375",
		"tcp://10.0.0.1":       "10.0.0.1:2375",
		"tcp://[::1]":          "[::1]:2375",
		"http://10.0.0.1:1/v1": "10.0.0.1:1",
		"https://10.0.0.1":     "",
		"ssh://me@there":       "",
		"rubbish":              "",
		"tcp://":               "",
	} {
		got, err := tcpAddress(url)
		var unsupported *UnsupportedEndpointError
		if got != want || (want == "") != errors.As(err, &unsupported) {
			t.Errorf("%s: %q, %v", url, got, err)
		}
	}
	p := place(t)
	v := view(t, p, nil)
	a := Family{Asked: []string{"https://10.0.0.1"}}.Find(v)[0].Read(context.Background(), v)
	if !hasGap(a, "TLS is not spoken") || a.Engine == nil || a.Engine.Reachable {
		t.Errorf("%+v", a)
	}
}

// A container that goes away between list and inspect is no gap: it happens all the time.
func TestGone(t *testing.T) {
	p := place(t)
	full := recorded("1.41")
	serve(t, p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1.41/containers/5") || strings.HasPrefix(r.URL.Path, "/v1.41/networks/o") {
			r.URL.Path += "x"
		}
		if strings.HasSuffix(r.URL.Path, "x") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"No such container"}`)
			return
		}
		full.ServeHTTP(w, r)
	}))
	v := view(t, p, nodeProcesses(p))
	a := read(t, v, p)
	if len(a.Workloads) != 6 || len(a.Gaps) != 0 {
		t.Errorf("%d containers, gaps %+v", len(a.Workloads), a.Gaps)
	}
}

func BenchmarkAPI500(b *testing.B) {
	dir := b.TempDir()
	p := host.Place{Root: host.Root{Prefix: dir}, MntNS: 77}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
		b.Fatal(err)
	}
	var list []string
	for i := range 500 {
		list = append(list, fmt.Sprintf(`{"Id":"%064x","Names":["/c%d"],"State":"running"}`, i, i))
	}
	one, err := os.ReadFile("testdata/api/container-508e2702bee42c6a18a169d3078790b27b01a36fb6c045f2c7ff8017ee429e6a.json")
	if err != nil {
		b.Fatal(err)
	}
	full := recorded("1.41")
	l, err := net.Listen("unix", dir+"/run/docker.sock")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, isContainer := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/json"), "/v1.41/containers/")
		switch {
		case r.URL.Path == "/v1.41/containers/json":
			fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
		case isContainer:
			fmt.Fprint(w, strings.Replace(string(one), "508e2702bee42c6a18a169d3078790b27b01a36fb6c045f2c7ff8017ee429e6a", id, 1))
		default:
			full.ServeHTTP(w, r)
		}
	})}
	go srv.Serve(l) //nolint:errcheck // it ends with the benchmark
	defer srv.Close()
	var processes []netns.Process
	for i := range 1500 {
		processes = append(processes, netns.Process{PID: i + 1, NSPids: []int{i + 1}, Cgroup: fmt.Sprintf("/docker/%064x", i%500)})
	}
	v := host.NewView("/proc", processes)
	v.Timeout = 30 * time.Second
	v.Places = []host.Place{p}
	for b.Loop() {
		a := (Family{}).Find(v)[0].Read(context.Background(), v)
		if len(a.Workloads) != 500 || len(a.Gaps) > 0 {
			b.Fatalf("%d containers, gaps %v", len(a.Workloads), a.Gaps)
		}
	}
}
