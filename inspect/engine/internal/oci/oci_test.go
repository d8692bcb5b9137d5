package oci

import "testing"

func TestNetwork(t *testing.T) {
	for in, want := range map[string]struct {
		path string
		own  bool
	}{
		`{"linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/run/netns/x"}]}}`: {"/run/netns/x", false},
		`{"linux":{"namespaces":[{"type":"network"}]}}`:                                      {"", true},
		`{"linux":{"namespaces":[{"type":"pid"}]}}`:                                          {"", false},
		`{}`: {"", false},
	} {
		c, err := Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if path, own := c.Network(); path != want.path || own != want.own {
			t.Errorf("%s: %q %v", in, path, own)
		}
	}
	if ProcPID("/proc/280/ns/net") != 280 || ProcPID("/run/netns/x") != 0 || ProcPID("/proc/self/ns/net") != 0 {
		t.Error("ProcPID")
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"hostname":"x","annotations":{"a":"b"},"linux":{"namespaces":[{"type":"network","path":"/run/netns/x"}]}}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if c, err := Parse(data); err == nil {
			path, _ := c.Network()
			ProcPID(path)
		}
	})
}

func FuzzCNI(f *testing.F) {
	f.Add([]byte(`{"kind":"cniCacheV1","containerId":"x","ifName":"eth0","networkName":"cbr0","capabilityArgs":{"portMappings":[{"hostPort":8090,"containerPort":80,"protocol":"TCP"}]},
		"result":{"interfaces":[{"name":"eth0","mac":"AA:BB","sandbox":"/run/netns/z"}],"ips":[{"address":"10.244.0.2/24","gateway":"10.244.0.1","interface":0}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if id, ep, _, ok := ParseCNI(data); ok && (id == "" || ep.Aliases == nil) {
			t.Errorf("%q %+v", id, ep)
		}
	})
}
