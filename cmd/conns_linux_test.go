package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

// TestConns: a connection that a rule redirects is listed with both addresses, the filters find it and nothing else.
func TestConns(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "iptables")
	h := nettest.New(t)
	nettest.Run(t, h, "ip", "link", "set", "lo", "up")
	nettest.Run(t, h, "iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "REDIRECT", "--to-ports", "8080")
	sleeper := nettest.Start(t, h, "sleep", "600")
	target := fmt.Sprintf("pid:%d", sleeper.Process.Pid)
	var open []net.Conn
	err := h.Do(func() error {
		l, err := net.Listen("tcp4", "127.0.0.1:8080")
		if err != nil {
			return err
		}
		defer l.Close()
		for range 3 {
			c, err := net.Dial("tcp4", "127.0.0.5:80")
			if err != nil {
				return err
			}
			s, err := l.Accept()
			if err != nil {
				return err
			}
			open = append(open, c, s)
		}
		return nil
	})
	for _, c := range open {
		defer c.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		args = append([]string{"nscope", "--no-engine", "conns", target}, args...)
		if code := Main(args, strings.NewReader(""), &out, &errs); code != 0 {
			t.Fatalf("%v: exit code %d\n%s", args, code, &errs)
		}
		return out.String()
	}
	list := func(args ...string) connList {
		t.Helper()
		var l connList
		if err := json.Unmarshal([]byte(run(append(args, "-o", "json")...)), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	all := list()
	if len(all.Conns) != 3 || all.More || all.Matched == nil || *all.Matched != 3 || all.Count == nil || *all.Count != 3 || all.Max == nil || *all.Max < 3 {
		t.Fatalf("%+v", all)
	}
	for _, r := range all.Conns {
		if r.To.Addr.String() != "127.0.0.5:80" || r.Server == nil || r.Server.Addr.String() != "127.0.0.1:8080" || r.As != nil || r.State != "ESTABLISHED" || r.Unreplied {
			t.Errorf("%+v", r)
		}
	}
	if l := list("--limit", "1"); len(l.Conns) != 1 || !l.More || *l.Matched != 3 {
		t.Errorf("%+v", l)
	}
	port := fmt.Sprint(all.Conns[1].From.Addr.Port())
	if l := list("--proto", "tcp", "--port", port, "--addr", "127.0.0.5", "--state", "established"); len(l.Conns) != 1 || l.Conns[0].From != all.Conns[1].From {
		t.Errorf("%+v", l)
	}
	for _, none := range [][]string{{"--proto", "udp"}, {"--port", "22"}, {"--addr", "10.0.0.0/8"}, {"--mark", "7"}, {"--zone", "7"}, {"--state", "TIME_WAIT"}} {
		if l := list(none...); len(l.Conns) != 0 || *l.Matched != 0 || *l.Count != 3 {
			t.Errorf("%v: %+v", none, l)
		}
	}
	text := run("--limit", "2")
	for _, want := range []string{"conntrack: 3 entries of at most ", ", insert_failed 0, drop 0, early_drop 0", "127.0.0.5:80 → 127.0.0.1:8080", "2 listed, there are 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, wrong := range [][]string{{"--port", "0"}, {"--port", "65536"}, {"--proto", "ipx"}, {"--mark", "x"}, {"--mark", "1/0"}, {"--limit", "-1"}, {"--addr", "nobody-has-this"}} {
		var out, errs bytes.Buffer
		if code := Main(append([]string{"nscope", "--no-engine", "conns", target}, wrong...), strings.NewReader(""), &out, &errs); code != exitUsage || errs.Len() == 0 {
			t.Errorf("%v: exit code %d\n%s", wrong, code, &errs)
		}
	}
}
