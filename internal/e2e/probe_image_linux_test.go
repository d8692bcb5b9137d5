package e2e

import (
	"strings"
	"testing"

	"github.com/nscope/nscope/fixtures/peer"
)

// TestProbeFromImage asks from a container of an image that holds nothing but the static binary: no shell, no files, no
// capability beyond what Docker gives, and then none at all.
func TestProbeFromImage(t *testing.T) {
	t.Parallel()
	lab := peer.SharedModes(t)
	n := lab.Nodes[0]
	n.ImportBinary(t, binary(t), "nscope-test/probe:1")
	ask := func(t *testing.T, flags, args string) (string, error) {
		t.Helper()
		line := append(append(append([]string{"run", "--rm", "--network", "appnet"}, strings.Fields(flags)...), "nscope-test/probe:1", "probe"), strings.Fields(args)...)
		return n.CLI(t.Context(), line...)
	}
	for _, tt := range []struct{ flags, args, want string }{
		{"", "ping self db", "ok: ping self → db ("},
		{"", "tcp self u1:80", "ok: tcp self → u1 ("},
		{"", "dns self db", "ok: dns self → db"},
		{"", "http self http://u1/", "ok: http self → "},
		{"", "mtu self u1", "1500 bytes pass"},
		{"", "arp self name:u1", "ok: arp self → u1 ("},
		{"", "route self u2", "ok: route self → u2 ("},
		{"", "all self u1:80", "tcp 80 open; 1500 bytes pass"},
		// Docker opens ping_group_range for its containers; tcp, dns and route by UDP need nothing anywhere.
		{"--cap-drop ALL --user 4711", "ping self db", "ok: ping self → db ("},
		{"--cap-drop ALL --user 4711", "tcp self u1:80", "ok: tcp self → u1 ("},
		{"--cap-drop ALL --user 4711", "dns self db", "ok: dns self → db"},
		{"--cap-drop ALL --user 4711", "route self u2", "ok: route self → u2 ("},
		{"--cap-drop ALL --user 4711", "mtu self u1", "1500 bytes pass"},
		{"--cap-drop ALL --user 4711 --read-only", "http self http://u1/", "ok: http self → "},
	} {
		t.Run(tt.flags+" "+tt.args, func(t *testing.T) {
			out, err := ask(t, tt.flags, tt.args)
			if err != nil || !strings.Contains(out, tt.want) {
				t.Errorf("%v: there should be %q:\n%s", err, tt.want, out)
			}
		})
	}
	if out, err := ask(t, "--cap-drop ALL", "arp self name:u1"); err == nil || !strings.Contains(err.Error()+out, "arp from self needs CAP_NET_RAW") {
		t.Errorf("arp without CAP_NET_RAW: %v\n%s", err, out)
	}
}
