package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

func eng(kind, name string, home snapshot.NSID, ids ...string) host.Answer {
	a := host.Answer{Engine: &snapshot.Engine{Kind: kind, Name: name, Home: home}}
	for _, id := range ids {
		source, id, ok := strings.Cut(id, ":")
		if !ok {
			source, id = "api", source
		}
		a.Workloads = append(a.Workloads, snapshot.Workload{ID: id, Source: source})
	}
	return a
}

func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		host    snapshot.NSID
		answers []host.Answer
		want    string
	}{
		"alone":                     {"4:1", []host.Answer{eng("docker", "web1", "4:1", "a")}, "docker"},
		"alone, nobody knows where": {"", []host.Answer{eng("docker", "web1", "4:1", "a")}, "docker"},
		"nested":                    {"4:1", []host.Answer{eng("docker", "node1", "4:2", "a")}, "docker@node1"},
		"host and nested":           {"4:1", []host.Answer{eng("docker", "node1", "4:2", "a"), eng("docker", "web1", "4:1", "b")}, "docker docker@node1"},
		"two nodes":                 {"", []host.Answer{eng("docker", "node2", "4:3", "a"), eng("docker", "node1", "4:2", "b")}, "docker@node1 docker@node2"},
		"two on the host":           {"4:1", []host.Answer{eng("docker", "web1", "4:1", "a"), eng("docker", "web1", "4:1", "b")}, "docker docker@web1"},
		"three on the host":         {"4:1", []host.Answer{eng("docker", "web1", "4:1", "a"), eng("docker", "web1", "4:1", "b"), eng("docker", "web1", "4:1", "c")}, "docker docker@web1 docker@web1#2"},
		"two nested without a name": {"4:1", []host.Answer{eng("docker", "", "4:2", "a"), eng("docker", "", "4:3", "b")}, "docker#1 docker#2"},
		"two nested with one name":  {"4:1", []host.Answer{eng("docker", "n", "4:2", "a"), eng("docker", "n", "4:3", "b")}, "docker@n docker@n#2"},
		"one that does not answer":  {"4:1", []host.Answer{eng("docker", "", ""), eng("docker", "web1", "4:1", "b")}, "docker docker#2"},
		"kinds are apart":           {"4:1", []host.Answer{eng("podman", "web1", "4:1", "a"), eng("docker", "web1", "4:1", "b")}, "docker podman"},
	} {
		t.Run(name, func(t *testing.T) {
			r := join(&host.View{HostNS: c.host}, c.answers)
			var ids []string
			for _, e := range r.Engines {
				ids = append(ids, e.ID)
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestOneContainerOnce(t *testing.T) {
	long := func(c string) string { return strings.Repeat(c, 64) }
	api := eng("podman", "", "4:1", long("a"))
	state := eng("podman", "", "4:1", "state:"+long("a"))
	some := eng("docker", "", "4:1", "state:"+long("b"), "state:"+long("a"))
	cg := eng("cgroup", "", "", "cgroup:"+long("a"), "cgroup:"+long("c"))
	again := eng("docker", "", "4:1")
	again.Identity = "X"
	twice := again
	copied := *again.Engine
	twice.Engine = &copied
	r := join(&host.View{}, []host.Answer{state, cg, some, api, again, twice, {Gaps: []snapshot.Gap{{Error: "e"}}}})
	got := ""
	for _, w := range r.Workloads {
		got += fmt.Sprintf("%s:%s:%s ", w.Engine, w.Source, w.ID[:1])
	}
	if got != "cgroup:cgroup:c docker:state:b podman:api:a " {
		t.Errorf("%s", got)
	}
	if len(r.Engines) != 4 {
		t.Errorf("%d engines, want cgroup, docker, docker#2, podman: %+v", len(r.Engines), r.Engines)
	}
	if len(r.Gaps) != 1 || r.Gaps[0].Reader != "engines" {
		t.Errorf("%+v", r.Gaps)
	}
}

func TestNamesFromSwarm(t *testing.T) {
	manager, dead := eng("docker", "node1", "4:2", "a"), eng("docker", "", "4:3", "b")
	manager.Engine.Swarm = &snapshot.Swarm{NodeID: "one", NodeAddr: "10.0.0.1", Nodes: []snapshot.SwarmNode{{ID: "one", Name: "node1", Addr: "10.0.0.1"}, {ID: "two", Name: "node2", Addr: "10.0.0.2"}}}
	dead.Engine.Swarm = &snapshot.Swarm{NodeID: "two"}
	r := join(&host.View{HostNS: "4:1"}, []host.Answer{manager, dead})
	if len(r.Engines) != 2 || r.Engines[1].ID != "docker@node2" {
		t.Errorf("%+v", r.Engines)
	}
}

// A machine with files of four engines below one root, whose only processes are those that lead there.
func TestRead(t *testing.T) {
	defer goleak.VerifyNone(t)
	proc, root := t.TempDir(), t.TempDir()
	write(t, proc+"/self/ns/net", "")
	podmanID, pod, crioID := strings.Repeat("1", 64), strings.Repeat("2", 64), strings.Repeat("3", 64)
	store := root + "/var/lib/containers/storage/overlay-containers"
	write(t, store+"/containers.json", `[{"id":"`+podmanID+`","names":["p1"],"metadata":"{\"image-name\":\"busybox\"}"},{"id":"`+crioID+`","names":["k8s_x"],"metadata":"{}"},{"id":"../../x"},{"id":"buildah"}]`)
	write(t, store+"/"+podmanID+"/userdata/config.json", `{"hostname":"h","annotations":{"io.container.manager":"libpod"},"linux":{"namespaces":[{"type":"network","path":"/run/netns/x"}]}}`)
	run := root + "/run/containers/storage/overlay-containers/"
	write(t, run+podmanID+"/userdata/pidfile", "100")
	write(t, run+crioID+"/userdata/pidfile", "200\n")
	write(t, run+crioID+"/userdata/config.json", `{"hostname":"front","annotations":{"io.container.manager":"cri-o","io.kubernetes.cri-o.ContainerType":"container",
		"io.kubernetes.cri-o.SandboxID":"`+pod+`","io.kubernetes.cri-o.ImageName":"docker.io/library/busybox:1","io.kubernetes.cri-o.IP.0":"10.85.0.5",
		"io.kubernetes.cri-o.Labels":"{\"io.kubernetes.pod.name\":\"front\",\"io.kubernetes.pod.namespace\":\"shop\",\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.pod.uid\":\"u\"}",
		"io.kubernetes.cri-o.PortMappings":"[{\"name\":\"\",\"container_port\":80,\"protocol\":\"TCP\",\"host_port\":8080,\"hostIP\":\"\"}]"},
		"linux":{"namespaces":[{"type":"network","path":"/var/run/netns/y"}]}}`)
	ctr := strings.Repeat("4", 64)
	task := root + "/run/containerd/io.containerd.runtime.v2.task/"
	write(t, task+"k8s.io/"+ctr+"/config.json", `{"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.sandbox-id":"`+pod+`","io.kubernetes.cri.sandbox-name":"back","io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.container-name":"db","io.kubernetes.cri.image-name":"postgres"},"linux":{"namespaces":[{"type":"network","path":"/run/netns/z"}]}}`)
	write(t, task+"k8s.io/"+ctr+"/init.pid", "300")
	write(t, task+"k8s.io/"+pod+"/config.json", `{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-id":"`+pod+`","io.kubernetes.cri.sandbox-name":"back","io.kubernetes.cri.sandbox-namespace":"shop"},"linux":{"namespaces":[{"type":"network","path":"/run/netns/z"}]}}`)
	write(t, task+"default/web/config.json", `{"annotations":{"nerdctl/name":"web","nerdctl/ports":"[{\"HostPort\":8080,\"ContainerPort\":80,\"Protocol\":\"tcp\",\"HostIP\":\"0.0.0.0\"}]","nerdctl/networks":"[\"bridge\"]"},"linux":{"namespaces":[{"type":"network"}]}}`)
	write(t, task+"default/broken/config.json", `{`)
	write(t, task+"moby/"+strings.Repeat("5", 64)+"/config.json", `{}`)
	write(t, root+"/var/lib/cni/results/cbr0-"+pod+"-eth0", `{"kind":"cniCacheV1","containerId":"`+pod+`","ifName":"eth0","networkName":"cbr0","capabilityArgs":{"portMappings":[{"hostPort":8090,"containerPort":80,"protocol":"TCP"}]},
		"result":{"interfaces":[{"name":"cni0"},{"name":"veth1"},{"name":"eth0","mac":"AA:BB:CC:00:00:01","sandbox":"/run/netns/z"}],"ips":[{"address":"10.244.0.2/24","gateway":"10.244.0.1","interface":2},{"address":"fd00::2/64","interface":2}]}}`)
	write(t, root+"/etc/containers/networks/pnet.json", `{"name":"pnet","id":"77","driver":"bridge","network_interface":"podman1","subnets":[{"subnet":"10.89.0.0/24","gateway":"10.89.0.1"}]}`)
	write(t, root+"/etc/cni/net.d/87-podman.conflist", `{"name":"podman","plugins":[{"type":"bridge","bridge":"cni-podman0","ipam":{"ranges":[[{"subnet":"10.88.0.0/16","gateway":"10.88.0.1"}]]}}]}`)
	write(t, root+"/run/flannel/subnet.env", "FLANNEL_NETWORK=10.244.0.0/16\n")
	lone := strings.Repeat("6", 64)
	p := func(pid, ppid int, ns, comm, cgroup string, args ...string) netns.Process {
		exe := ""
		if len(args) > 0 {
			exe = args[0]
		}
		return netns.Process{PID: pid, PPID: ppid, NSPids: []int{pid}, PidNS: 1, MntNS: 55, Root: root, NetNS: snapshot.NSID(ns), Comm: comm, Exe: exe, Args: args, Cgroup: cgroup}
	}
	o := Options{
		Proc: proc, Timeout: 5 * time.Second, Home: root, Getenv: func(string) string { return "" }, HostNS: "4:1",
		Processes: []netns.Process{
			p(10, 1, "4:1", "containerd", "/system.slice/containerd.service", "/usr/bin/containerd"),
			p(11, 1, "4:1", "conmon", "/machine.slice/libpod-conmon-"+podmanID+".scope", "/usr/bin/conmon", "-b", "/var/lib/containers/storage/overlay-containers/"+podmanID+"/userdata", "-p", "/run/containers/storage/overlay-containers/"+podmanID+"/userdata/pidfile", "--exit-command", "/usr/bin/podman"),
			p(12, 1, "4:1", "crio", "/system.slice/crio.service", "/usr/bin/crio"),
			p(100, 11, "4:100", "httpd", "/machine.slice/libpod-"+podmanID+".scope"),
			p(200, 12, "4:200", "httpd", "/kubepods.slice/crio-"+crioID+".scope"),
			p(300, 10, "4:300", "httpd", "/kubepods.slice/cri-containerd-"+ctr+".scope"),
			p(400, 1, "4:400", "httpd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_0001_0002_0003_000000000004.slice/cri-containerd-"+lone+".scope"),
			p(401, 400, "4:400", "httpd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_0001_0002_0003_000000000004.slice/cri-containerd-"+lone+".scope"),
		},
	}
	r := Read(context.Background(), o)
	w := map[string]snapshot.Workload{}
	for _, x := range r.Workloads {
		if strings.HasPrefix(x.Engine, "docker") {
			continue // the machine's own
		}
		if _, ok := w[x.Name]; ok {
			t.Errorf("%s is there twice", x.Name)
		}
		w[x.Name] = x
	}
	for name, want := range map[string]string{
		"p1":             "podman 100 4:100 running busybox",
		"shop/front/app": "crio 200 4:200 running docker.io/library/busybox:1",
		"shop/back/db":   "containerd 300 4:300 running postgres",
		"shop/back":      "containerd 0  unknown ",
		"web":            "containerd 0  unknown ",
		lone[:12]:        "cgroup 400 4:400 running ",
	} {
		x := w[name]
		if got := fmt.Sprintf("%s %d %s %s %s", x.Engine, x.PID, x.Namespace, x.State, x.Image); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(w) != 6 {
		t.Errorf("%d containers, want 6: %+v", len(w), w)
	}
	if got := fmt.Sprintf("%+v", w["shop/back"].Ports); !strings.Contains(got, "HostPort:8090") {
		t.Errorf("the pod's ports: %s", got)
	}
	if eps := w["shop/back"].Endpoints; len(eps) != 1 || eps[0].Addr.String() != "10.244.0.2/24" || eps[0].Addr6.String() != "fd00::2/64" || eps[0].MAC != "aa:bb:cc:00:00:01" || eps[0].Gateway.String() != "10.244.0.1" {
		t.Errorf("the pod's endpoints: %+v", eps)
	}
	if x := w["web"]; len(x.Ports) != 1 || x.Mode != "bridge" {
		t.Errorf("web: %+v", x)
	}
	if x := w["shop/front/app"]; len(x.Ports) != 1 || x.Ports[0].HostPort != 8080 || len(x.Endpoints) != 1 || x.Pod.UID != "u" || x.Pod.SandboxID != pod {
		t.Errorf("shop/front/app: %+v", x)
	}
	if x := w[lone[:12]]; x.Pod == nil || x.Pod.UID != "0a1b2c3d-0001-0002-0003-000000000004" {
		t.Errorf("a pod known by its cgroup: %+v", x)
	}
	nets := map[string]string{}
	for _, n := range r.Networks {
		if n.Engine == "podman" {
			nets[n.Name] = n.Bridge
		}
	}
	if nets["pnet"] != "podman1" || nets["podman"] != "cni-podman0" {
		t.Errorf("Podman's networks: %v", nets)
	}
	if len(r.Flannel) == 0 {
		t.Error("no flannel")
	}
	for _, g := range r.Gaps {
		if !strings.HasPrefix(g.Reader, "engine docker") {
			t.Errorf("gap %+v", g)
		}
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
