package lab

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/internal/labfile"
)

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, file, says string }{
		{"a", `{"name":"a","spa`, "not a lab's file"},
		{"a", `{"name":"b"}`, `of lab "b"`},
		{"a", `{"name":"a","spaces":[{"name":"x/y","full":"nscope-a-x/y","role":"host"}]}`, "cannot be called"},
		{"a", `{"name":"a","spaces":[{"name":"c1","full":"../../proc/1/ns/net","role":"host"}]}`, "cannot be called"},
		{"a", `{"name":"a","spaces":[{"name":"c1","full":"nscope-a-c1"},{"name":"c1","full":"nscope-a-c1"}]}`, "cannot be called"},
	} {
		if _, err := parse(c.name, []byte(c.file)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.file, err)
		}
	}
}

// FuzzParse: whatever the file holds, it is read or refused, and what is read can be told of.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"name":"a","ready":true,"spaces":[{"name":"n1","full":"nscope-a-n1","role":"host","addr":"10.0.0.1"},` +
		`{"name":"c1","full":"nscope-a-c1","role":"container","host":"n1","service":"s","pod":"p","endpoints":[{"network":"n","link":"eth0","addr":"10.0.1.2/24"}],` +
		`"ports":[{"proto":"tcp","host":80,"port":80}]},{"name":"c2","full":"nscope-a-c1","shares":"c1","role":"container","host":"n1","network":"container:c1"}],` +
		`"networks":[{"id":"n","name":"b","hosts":["n1"],"driver":"overlay","subnets":["10.0.1.0/24"],"gateway":"10.0.1.1","vni":4097}],` +
		`"services":[{"id":"s","name":"web","vips":[{"network":"n","addr":"10.0.1.9"},{"network":"n","addr":""}],"ports":[]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parse("a", b)
		if err != nil {
			return
		}
		v := host.NewView("/nowhere", nil)
		x := &lab{Lab: *l}
		for i := range x.Spaces {
			s := &x.Spaces[i]
			if s.Role != labfile.RoleHost {
				w := x.workload(v, s)
				if w.State != "exited" || w.Namespace != "" {
					t.Errorf("%s runs, with no process", w.Name)
				}
				continue
			}
			if a := (&engine{x, s}).Read(t.Context(), v); a.Engine != nil {
				t.Error("a host without a namespace is an engine")
			}
			x.swarm(s)
		}
		for i := range x.Networks {
			x.network(&x.Networks[i])
		}
		for i := range x.Services {
			if _, err := json.Marshal(x.service(&x.Services[i])); err != nil {
				t.Error(err)
			}
		}
	})
}
