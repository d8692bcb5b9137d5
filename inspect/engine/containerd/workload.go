package containerd

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/oci"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Annotations of containerd's CRI plugin (internal/cri/annotations) and of nerdctl (pkg/labels), which copies its labels.
const (
	annType      = "io.kubernetes.cri.container-type"
	annName      = "io.kubernetes.cri.container-name"
	annImage     = "io.kubernetes.cri.image-name"
	annSandboxID = "io.kubernetes.cri.sandbox-id"
	annPod       = "io.kubernetes.cri.sandbox-name"
	annNamespace = "io.kubernetes.cri.sandbox-namespace"
	annUID       = "io.kubernetes.cri.sandbox-uid"

	nerdName     = "nerdctl/name"
	nerdPorts    = "nerdctl/ports"
	nerdNetworks = "nerdctl/networks"
)

// workload converts all but process, state and namespace.
func workload(namespace, id string, c *oci.Config) snapshot.Workload {
	ann := c.Annotations
	w := snapshot.Workload{
		ID: id, Name: id, Image: ann[annImage], Hostname: c.Hostname, Labels: map[string]string{},
		Endpoints: []snapshot.Endpoint{}, Ports: []snapshot.Port{}, Source: "state",
		DNS: snapshot.DNS{Servers: []string{}, Search: []string{}, Options: []string{}},
	}
	for k, v := range ann {
		w.Labels[k] = v
	}
	w.Labels["containerd.io/namespace"] = namespace
	if len(id) == 64 {
		w.Name = id[:12]
	}
	file, own := c.Network()
	switch {
	case file != "":
		w.SandboxKey = file
		w.Mode = "cni"
	case own:
		w.Mode = "none"
	default:
		w.Mode = "host"
	}
	if pod := podOf(id, ann); pod != nil {
		w.Pod = pod
		w.Name = pod.Namespace + "/" + pod.Name
		if !pod.Sandbox {
			w.Name += "/" + cmp.Or(ann[annName], ann["io.kubernetes.container.name"], id[:min(12, len(id))])
		}
		if w.Mode == "cni" {
			w.Mode = "pod"
		}
	}
	if name := ann[nerdName]; name != "" {
		w.Name = name
		nerdctl(&w, ann)
	}
	return w
}

func podOf(id string, ann map[string]string) *snapshot.Pod {
	sandbox := ann[annSandboxID]
	name := cmp.Or(ann[annPod], ann["io.kubernetes.pod.name"])
	if sandbox == "" || name == "" {
		return nil
	}
	return &snapshot.Pod{
		Name: name, Namespace: cmp.Or(ann[annNamespace], ann["io.kubernetes.pod.namespace"], "default"),
		UID: cmp.Or(ann[annUID], ann["io.kubernetes.pod.uid"]), SandboxID: sandbox,
		Sandbox: ann[annType] == "sandbox" || sandbox == id,
	}
}

// nerdctl reads what nerdctl adds: the networks' names and the published ports, both JSON.
func nerdctl(w *snapshot.Workload, ann map[string]string) {
	var networks []string
	if json.Unmarshal([]byte(ann[nerdNetworks]), &networks) == nil && len(networks) > 0 {
		w.Mode = strings.Join(networks, ",")
	}
	var ports []oci.PortMapping
	if json.Unmarshal([]byte(ann[nerdPorts]), &ports) == nil {
		w.Ports = oci.Ports(ports)
	}
}
