package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/probe"
)

// TestProbeGroups asks from the members of a network and of a project, by the names that the engine's containers have: what
// is a target, what is a name for the container's own resolver, and who has an address.
func TestProbeGroups(t *testing.T) {
	t.Parallel()
	lab := peer.NewDocker(t, 1)
	n := lab.Nodes[0]
	n.Docker(t, "network", "create", "appnet")
	for _, name := range []string{"web", "db", "cache"} {
		n.Docker(t, "run", "-d", "--name", name, "--network", "appnet", "--network-alias", name+"-alias", "--label", "com.docker.compose.project=shop", peer.Image)
	}
	n.Docker(t, "run", "-d", "--name", "alone", peer.Image)
	n.Docker(t, "exec", "-d", "db", "httpd", "-f", "-h", "/www", "-p", "8080")
	bin := binary(t)
	eventually(t, "the server listens", func() error {
		return n.Enter(bin, "probe", "tcp", "db", "db:8080").Run()
	})
	db := regexp.QuoteMeta(n.Inspect(t, "db").NetworkSettings.Networks["appnet"].IPAddress)
	for _, c := range []struct {
		line, want string
		code       int
	}{
		{"ping web db -c 1", `(?m)^ok: ping web → db \(` + db + `\): 1/1 answered`, 0},
		{"tcp net:appnet db:8080", `(?s)^ok: tcp cache → db .*^ok: tcp db → db .*^ok: tcp web → db .*^3 of 3 ok$`, 0},
		{"tcp stack:shop db:8081", `(?s)^FAILED: tcp cache .*refused by db .*^0 of 3 ok$`, 1},
		{"tcp web db-alias:8080", `(?m)^ok: tcp web → db-alias \(` + db + `:8080\): open`, 0}, // by web's own resolver
		{"tcp web name:db:8080", `(?m)^ok: tcp web → db \(` + db + `:8080\): open`, 0},
		{"tcp web d:8080", `(?m)^FAILED: tcp web → d port 8080: d: `, 1}, // the start of a name is none
		{"tcp we db:8080", `(?m)^ok: tcp web → db`, 0},                   // for FROM it is enough
		{"dns web db", `(?m)^ok: dns web → db.*` + db, 0},
		{"dns web db-alias", `(?m)^ok: dns web → db-alias.*` + db, 0},
		{"http web http://db:8080/", `(?m)^(ok|FAILED): http web → db \(` + db + `:8080\): [24]\d\d`, -1},
		{"route web host", `(?m)^ok: route web → host .*reached in 1 hop`, 0},
		{"tcp alone db:8080", `(?m)^FAILED: tcp alone → db`, 1}, // the engine keeps networks apart
		{"matrix stack:shop", `(?m)^ok: matrix of 3 by ping: all 6 pairs`, 0},
		{"all web db", `(?m)^ok: all web → db \(` + db + `\): .*8080`, 0},
	} {
		out, err := n.Enter(append([]string{bin, "probe"}, strings.Fields(c.line)...)...).CombinedOutput()
		code := 0
		if e, ok := err.(*exec.ExitError); ok {
			code = e.ExitCode()
		}
		if c.code >= 0 && code != c.code || !regexp.MustCompile(strings.Replace(c.want, "(?s)", "(?ms)", 1)).Match(out) {
			t.Errorf("%s: exit code %d, want %d and %s:\n%s", c.line, code, c.code, c.want, out)
		}
	}
	out, err := n.Enter(bin, "probe", "ping", "net:appnet", "db", "-c", "1", "-o", "json").Output()
	var rs []probe.Result
	if err2 := json.Unmarshal(out, &rs); err != nil || err2 != nil || len(rs) != 3 || fmt.Sprint(rs[0].From.Name, rs[1].From.Name, rs[2].From.Name) != "cachedbweb" {
		t.Errorf("as JSON: %v, %v\n%s", err, err2, out)
	}
	for _, r := range rs {
		if len(r.Attempts) != 1 || r.Attempts[0].ByName != "db" {
			t.Errorf("from %s: %+v", r.From.Name, r.Attempts)
		}
	}
}
