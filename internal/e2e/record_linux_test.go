package e2e

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// go test ./internal/e2e -run 'TestSwarm$|TestModes|TestPodman|TestContainerd' -record
var recordFixtures = flag.Bool("record", false, "write fixtures/recorded anew from the labs")

// recordKey redacts all fixtures alike: the two nodes' names for each other must stay the same.
const recordKey = "nscope's recorded fixtures"

// record writes a snapshot of a lab, redacted, for the tests that run anywhere, and checks that nothing of the original is
// left in it.
func record(t *testing.T, name, file string) {
	t.Helper()
	orig, s := load(t, file), load(t, file)
	s.Redact(recordKey)
	// As if each lab had been a machine of its own; the swarm's nodes are two of one.
	lab, _, _ := strings.Cut(name, "-")
	s.Host.BootID = map[string]string{"docker": "d0c4e000", "swarm": "50a40000", "podman": "90d4a000", "containerd": "c0a7e000"}[lab] + "-0000-4000-8000-000000000000"
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	checkRedacted(t, orig, b.String())
	if !*recordFixtures {
		return
	}
	path := filepath.Join("../../fixtures/recorded", name+".json.zst")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := snapshot.Save(path, s); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkRedacted looks for what the original tells: names, addresses, MACs.
func checkRedacted(t *testing.T, s *snapshot.Snapshot, text string) {
	t.Helper()
	secrets := map[string]string{}
	secret := func(what, v string) {
		if len(v) > 3 { // shorter ones are part of words by chance
			secrets[v] = what
		}
	}
	word := func(what, v string) { secrets[`"`+v+`"`] = what }
	secret("machine id", s.Host.MachineID)
	for _, w := range s.Workloads {
		word("container", w.Name)
		secret("image", w.Image)
		for _, ep := range w.Endpoints {
			secret("MAC", ep.MAC)
			if ep.Addr.IsValid() {
				secret("address", ep.Addr.Addr().String()+"/")
			}
		}
	}
	known := map[string]bool{"bridge": true, "host": true, "none": true, "ingress": true, "docker_gwbridge": true, "podman": true, "default": true}
	for _, n := range s.Networks {
		if !known[n.Name] {
			word("network", n.Name)
		}
		for _, sub := range n.Subnets {
			secret("subnet", sub.Subnet.String())
		}
	}
	for _, v := range s.Services {
		secret("service", `"name":"`+v.Name+`"`) // "api" is also where a snapshot may have its knowledge from
		for _, vip := range v.VIPs {
			secret("VIP", vip.Addr.String())
		}
	}
	links := map[string]bool{} // a link's name stays
	for i := range s.Namespaces {
		for _, l := range s.Namespaces[i].Links {
			links[l.Name] = true
			if l.MAC != "" && strings.Trim(l.MAC, "0:") != "" {
				secret("MAC", l.MAC)
			}
			for _, a := range l.Addrs {
				if ip := a.Prefix.Addr(); !ip.IsLoopback() {
					word("address", a.Prefix.String())
				}
			}
		}
		for _, n := range s.Namespaces[i].Neighbors {
			if n.Addr.IsPrivate() {
				word("neighbour", n.Addr.String())
			}
		}
	}
	if !links[s.Host.Name] {
		word("host", s.Host.Name)
	}
	found := 0
	for v, what := range secrets {
		if i := valueIndex(text, v); i >= 0 {
			if found++; found < 12 {
				t.Errorf("redacted, and still there: %s %s: …%s…", what, v, text[max(0, i-120):min(len(text), i+60)])
			}
		}
	}
	if len(secrets) < 20 {
		t.Errorf("only %d secrets were looked for", len(secrets))
	}
}

// valueIndex is where a secret stands in JSON that has no spaces, -1 for nowhere. A key of the schema is none: tables of rules
// have a "backend", and so may a swarm have a network.
func valueIndex(text, v string) int {
	for from := 0; ; {
		i := strings.Index(text[from:], v)
		if i < 0 {
			return -1
		}
		i += from
		from = i + len(v)
		if !strings.HasPrefix(text[from:], ":") {
			return i
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
