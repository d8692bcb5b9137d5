package topo

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	m := modesLab()
	g := Build(m.s)
	for target, want := range map[string]string{
		"c2":                             "container:c2",
		"u":                              "", // u1, un
		"u1":                             "container:u1",
		"net:un":                         "network:un",
		"network:un":                     "network:un",
		"116":                            "container:c1",
		"116bd6a5ebbf":                   "container:c1",
		"11":                             "", // an id is three digits at least
		"container:116b":                 "container:c1",
		"host":                           "netns:host",
		"self":                           "netns:host",
		"vm":                             "netns:host",
		"net:host":                       "network:host",
		"blue":                           "netns:blue",
		"netns:blue":                     "netns:blue",
		"path:/run/netns/blue":           "netns:blue",
		"path:/var/run/netns/blue":       "netns:blue",
		"netns:4026531842":               "netns:c2",
		"4026531842":                     "netns:c2",
		"path:/proc/715/ns/net":          "netns:c2",
		"pid:715":                        "container:c2",
		"pid:1":                          "netns:host",
		"pid:2":                          "",
		"if:vethc6af457":                 "link:vethc6af457",
		"if:vethc6":                      "link:vethc6af457",
		"vethc6":                         "link:vethc6af457",
		"if:eth0":                        "", // everyone's
		"if:c2/eth0":                     "link:eth0",
		"c2/eth0":                        "link:eth0",
		"if:netns:4026531842/eth0":       "link:eth0",
		"nginx":                          "container:default/nginx",
		"nginx/app":                      "container:default/nginx/app",
		"default/nginx/app":              "container:default/nginx/app",
		"vm/c2":                          "container:c2",
		"vm/net:bridge":                  "network:bridge",
		"net:vm/bridge":                  "network:bridge",
		"nohost/c2":                      "",
		"":                               "",
		"pid:":                           "",
		"old":                            "container:old",
		"container:un":                   "",
		"docker0":                        "link:docker0",
		"net:8dd1a97e":                   "network:un",
		"netns:a1a1a1a1:4026531840":      "netns:host",
		"link:a1a1a1a1:4026531840/3":     "link:docker0",
		"vtep:10.0.0.1":                  "",
		"container:ab12ab12ab12cdef0123": "container:ab12ab12ab12",
	} {
		n, err := g.Resolve(target)
		got := ""
		if err == nil {
			got = string(n.Kind) + ":" + n.Name
		}
		if got != want {
			t.Errorf("%q is %q (%v), want %q", target, got, err, want)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	g := Build(modesLab().s)
	var amb *AmbiguousError
	if _, err := g.Resolve("u"); !errors.As(err, &amb) || !slices.Equal(amb.Forms, []string{"u1", "un"}) || len(amb.Candidates) != 2 {
		t.Errorf("%v", err)
	}
	if _, err := g.Resolve("if:eth0"); !errors.As(err, &amb) || len(amb.Candidates) != 10 {
		t.Errorf("%v", err)
	}
	for _, n := range amb.Candidates {
		if m, err := g.Resolve(Explicit(n)); err != nil || m != n {
			t.Errorf("Explicit: %s means %v, %v", Explicit(n), m, err)
		}
	}
	var nf *NotFoundError
	if _, err := g.Resolve("c9"); !errors.As(err, &nf) || !slices.Contains(nf.Near, "c1") {
		t.Errorf("%v", err)
	}
	if _, err := g.Resolve("ngnix"); !errors.As(err, &nf) || err.Error() != `nothing is known as "ngnix" (did you mean nginx?)` {
		t.Errorf("%v", err)
	}
}

// Two hosts: a name that both have wants the host in front, and completion says how.
func TestResolveTwoHosts(t *testing.T) {
	lab := swarmLab(bootA, bootB)
	g := Build(lab.inside(0), lab.inside(1))
	for target, host := range map[string]string{"node1/lb_ddijjs6f2": "node1", "node2/net:bridge": "node2", "node2": "node2", "node2/host": "node2", "db": "node2", "node1/if:docker0": "node1"} {
		if n, err := g.Resolve(target); err != nil || n.Host != host {
			t.Errorf("%q: %v, %v", target, n, err)
		}
	}
	for _, target := range []string{"host", "self", "bridge", "ingress_sbox", "docker0", "pid:20"} {
		var amb *AmbiguousError
		if _, err := g.Resolve(target); !errors.As(err, &amb) {
			t.Errorf("%q: %v", target, err)
			continue
		}
		for i, f := range amb.Forms {
			if n, err := g.Resolve(f); err != nil || n != amb.Candidates[i] {
				t.Errorf("%q means %v (%v), want %s", f, n, err, amb.Candidates[i].ID)
			}
		}
	}
}

// Whatever completion offers means one thing, and everything is offered.
func TestTargets(t *testing.T) {
	lab := swarmLab(bootA)
	for _, g := range []*Graph{Build(modesLab().s), Build(lab.outside()), Build(lab.inside(0), lab.inside(1))} {
		offered := map[*Node]bool{}
		for _, target := range g.Targets() {
			n, err := g.Resolve(target)
			if err != nil {
				t.Errorf("%q: %v", target, err)
				continue
			}
			offered[n] = true
		}
		for i := range g.Nodes {
			n := &g.Nodes[i]
			if m, err := g.Resolve(g.TargetOf(n)); err != nil || m != n {
				t.Errorf("%s is %q, which is %v, %v", n.ID, g.TargetOf(n), m, err)
			}
			if m, err := g.Resolve(Explicit(n)); err != nil || m != n {
				t.Errorf("%s is explicitly %q, which is %v, %v", n.ID, Explicit(n), m, err)
			}
			if (n.Kind == KindContainer || n.Kind == KindNetwork || n.Kind == KindService) && !offered[n] {
				t.Errorf("%s %s is not offered", n.Kind, n.Name)
			}
		}
	}
}

func TestResolveAll(t *testing.T) {
	lab := swarmLab(bootA)
	g := Build(lab.outside())
	names := func(target string) string {
		ns, err := g.ResolveAll(target)
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, n := range ns {
			out = append(out, n.Name)
		}
		return strings.Join(out, " ")
	}
	web := "web.1.fewvfr1aqohai3casiept29n9 web.2.s2sqhzr4du4qnfyi7qbimai4k"
	for target, want := range map[string]string{"net:backend": "cache db " + web, "net:ingress": web, "service:web": web, "web": web, "db": "db", "node1": "node1", "node1/net:bridge": ""} {
		if got := names(target); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}
