package cgroup

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	id, in := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	for path, want := range map[string]Container{
		"/system.slice/docker-" + id + ".scope":                             {ID: id, Name: id[:12], Maker: "docker"},
		"/docker/" + id:                                                     {ID: id, Name: id[:12], Maker: "docker"},
		"/docker/" + id + "/docker/" + in:                                   {ID: in, Name: in[:12], Maker: "docker"},
		"/docker/" + id + "/init":                                           {ID: id, Name: id[:12], Maker: "docker"},
		"/machine.slice/libpod-" + id + ".scope/container":                  {ID: id, Name: id[:12], Maker: "podman"},
		"/kubepods.slice/x/crio-" + id + ".scope":                           {ID: id, Name: id[:12], Maker: "crio"},
		"/kubepods/burstable/pod0a1b2c3d-0001-0002-0003-000000000004/" + id: {ID: id, Name: id[:12], PodUID: "0a1b2c3d-0001-0002-0003-000000000004"},
		"/k.slice/kubepods-pod0a1b2c3d_0001_0002_0003_000000000004.slice/cri-containerd-" + id + ".scope": {ID: id, Name: id[:12], Maker: "containerd", PodUID: "0a1b2c3d-0001-0002-0003-000000000004"},
		"/lxc.payload.web/init.scope":                   {ID: "web", Name: "web", Maker: "lxc"},
		"/machine.slice/machine-box.scope/payload":      {ID: "box", Name: "box", Maker: "machine"},
		"/machine.slice/libpod-conmon-" + id + ".scope": {},
		"/":             {},
		"/user.slice":   {},
		"/x/" + id[:63]: {},
	} {
		got, ok := Parse(path)
		if got != want || ok != (want != Container{}) {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/docker/" + strings.Repeat("a", 64))
	f.Fuzz(func(t *testing.T, path string) {
		if c, ok := Parse(path); ok && (c.ID == "" || c.Name == "") {
			t.Errorf("%+v", c)
		}
	})
}
