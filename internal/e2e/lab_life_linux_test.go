package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/internal/seed"
)

// Every mode is made, proved and taken away by the program, or skipped for what the kernel really lacks; and leaves nothing.
func TestLabTestAll(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	before, world := m.traces(t), m.world(t)
	t.Run("modes", func(t *testing.T) {
		for _, mode := range fixtures.Modes() {
			name := mode.Info().Name
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				out, errText, code := m.lab(t, "test", name, "-o", "json")
				r := jsonOf[[]fixtures.Report](t, out)
				if len(r) != 1 || r[0].Mode != name {
					t.Fatalf("%+v", r)
				}
				switch r[0].Status {
				case fixtures.Pass:
					if code != 0 || len(r[0].Checks) == 0 {
						t.Errorf("exit code %d, %d checks", code, len(r[0].Checks))
					}
				case fixtures.Skip:
					if code != 0 || len(r[0].Needs) != 1 || !lacks(t, m, r[0].Needs[0]) {
						t.Fatalf("exit code %d: %+v %s", code, r[0], errText)
					}
					t.Skip("skip: needs " + r[0].Needs[0])
				default:
					for _, c := range r[0].Checks {
						if c.Status != fixtures.Pass {
							t.Errorf("%s: %s", c.Name, c.Detail)
						}
					}
					t.Errorf("exit code %d: %s %s", code, r[0].Error, errText)
				}
			})
		}
	})
	m.noTraces(t, before)
	if now := m.world(t); now != world {
		t.Errorf("the machine's own network was touched:\nbefore %s\nnow %s", world, now)
	}
}

// world is what a lab must not touch: the machine's own links, addresses, routes, rules and sysctls.
func (m *machine) world(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, args := range [][]string{
		{"ip", "-d", "-j", "link"}, {"ip", "-j", "addr"}, {"ip", "-j", "route", "show", "table", "all"}, {"ip", "-j", "rule"}, {"ip", "-j", "neigh"},
		{"ip", "xfrm", "state"}, {"ip", "xfrm", "policy"}, {"sh", "-c", "nft list ruleset 2>/dev/null || true"},
		{"sh", "-c", "cd /proc/sys/net && find . -type f ! -name '*random*' ! -name 'nf_conntrack_count' ! -path '*stat*' -perm -400 -exec grep -sHa '' {} + | tr -d '\\0' | sort"},
	} {
		fmt.Fprintln(&b, args, m.run(t, args...))
	}
	return b.String()
}

// Killed at any moment, a lab can be taken away whole.
func TestLabKilled(t *testing.T) {
	m := newMachine(t)
	before := m.traces(t)
	begun := time.Now()
	m.labOK(t, "up", "overlay", "--name", "k")
	span := time.Since(begun)
	m.labOK(t, "down", "--all")
	m.noTraces(t, before)

	r := rand.New(rand.NewSource(int64(seed.Of(t))))
	for i := range 20 {
		wait := time.Duration(r.Int63n(int64(span) * 5 / 4))
		cmd := m.command(t.Context(), m.nscope, "lab", "up", "overlay", "--name", "k")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.After(wait)
		<-timer
		what := "lab up"
		if i%2 == 0 {
			what = fixtures.KeeperCommand
		}
		killed := 0
		for _, p := range m.processes(t) {
			if strings.Contains(p.line, what) {
				m.kill(t, p.pid)
				killed++
			}
		}
		cmd.Wait()
		if what == fixtures.KeeperCommand && killed > 0 {
			// Holders end by themselves: nobody but the keeper holds their pipe.
			eventually(t, "holders end", func() error {
				for _, p := range m.processes(t) {
					if strings.Contains(p.line, fixtures.HolderCommand) {
						return fmt.Errorf("%d %s", p.pid, p.line)
					}
				}
				return nil
			})
		}
		// A keeper whose starter was killed may be about to take everything away by itself.
		if out, errText, code := m.lab(t, "down", "--all"); code != 0 {
			t.Errorf("round %d, %s killed after %v: lab down --all: exit code %d\n%s%s", i, what, wait, code, out, errText)
		}
		m.noTraces(t, before)
		if t.Failed() {
			return
		}
	}
}

// kill sends SIGKILL to a process of the machine; it may be gone.
func (m *machine) kill(t *testing.T, pid int) {
	t.Helper()
	m.try(t, "sh", "-c", "kill -9 "+strconv.Itoa(pid)+" 2>/dev/null; true")
}

// Two labs of a mode do not know of each other; a third cannot have the name of one.
func TestLabTwice(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	before := m.traces(t)
	m.up(t, "bridge", "one")
	m.up(t, "bridge", "two")
	for _, args := range [][]string{{"break", "one", "bridge-down"}, {"break", "two", "masquerade-missing"}, {"repair", "one"}, {"repair", "two"}} {
		m.labOK(t, args...)
	}
	if _, errText, code := m.lab(t, "up", "none", "--name", "one"); code != 1 || !strings.Contains(errText, "there is a lab of that name already") {
		t.Errorf("exit code %d, %s", code, errText)
	}
	if got := m.labOK(t, "list", "-o", "name"); got != "one\ntwo\n" {
		t.Errorf("list: %q", got)
	}
	m.labOK(t, "down", "one")
	if got := m.labOK(t, "list", "-o", "name"); got != "two\n" {
		t.Errorf("list: %q", got)
	}
	m.run(t, "ip", "netns", "exec", "nscope-two-c1", "ping", "-c1", "-W2", "172.17.0.3")
	if _, errText, code := m.lab(t, "down", "one"); code == 0 || !strings.Contains(errText, "no such lab") {
		t.Errorf("exit code %d, %s", code, errText)
	}
	m.labOK(t, "down", "two")
	m.noTraces(t, before)
}

// A name that is none, an unknown mode and an unknown fault are errors of usage, and nothing is made.
func TestLabNames(t *testing.T) {
	m := newMachine(t)
	before := m.traces(t)
	for _, name := range []string{"", "-", "Upper", "a/b", "../x", "x y", "-x", "x-", "ä", strings.Repeat("x", 25), "x\ny", "."} {
		if name == "" {
			continue // the mode's own
		}
		if out, errText, code := m.lab(t, "up", "none", "--name="+name); code != 2 || !strings.Contains(errText, "cannot be a lab's name") {
			t.Errorf("%q: exit code %d %s%s", name, code, out, errText)
		}
		if _, _, code := m.lab(t, "down", "--", name); code == 0 {
			t.Errorf("down %q succeeds", name)
		}
	}
	if _, _, code := m.lab(t, "up", "nothing"); code != 2 {
		t.Errorf("up nothing: exit code %d", code)
	}
	if _, _, code := m.lab(t, "break", "none", "bridge-down"); code == 0 {
		t.Error("what is not up cannot be broken")
	}
	m.up(t, "none", "none")
	for args, want := range map[string]int{
		"break none nothing": 2, "break none bridge-down": 2, "break none": 2, "repair none": 1, "repair nothing": 1, "down": 2, "down none --all": 2,
	} {
		if out, errText, code := m.lab(t, strings.Fields(args)...); code != want {
			t.Errorf("%s: exit code %d, want %d: %s%s", args, code, want, out, errText)
		}
	}
	m.labOK(t, "down", "none")
	m.noTraces(t, before)
}

// Without capabilities nothing is made, and the error says what is missing.
func TestLabDenied(t *testing.T) {
	m := newMachine(t)
	before := m.traces(t)
	for _, args := range [][]string{{"up", "bridge"}, {"test", "bridge"}} {
		out, errText, code := m.try(t, append([]string{"setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", m.nscope, "lab"}, args...)...)
		if args[0] == "up" && (code != 3 || !strings.Contains(errText, "CAP_SYS_ADMIN")) || code == 0 {
			t.Errorf("%v: exit code %d\n%s%s", args, code, out, errText)
		}
	}
	m.noTraces(t, before)
}

// A keeper that was killed leaves a lab that the list tells of; so does a holder.
func TestLabHolderKilled(t *testing.T) {
	m := newMachine(t)
	before := m.traces(t)
	m.up(t, "bridge", "h")
	s := m.state(t, "h")
	c1 := slices.IndexFunc(s.Spaces, func(x fixtures.SpaceState) bool { return x.Name == "c1" })
	m.kill(t, s.Spaces[c1].Holder.PID)
	eventually(t, "the list tells of it", func() error {
		if out := m.labOK(t, "list"); !strings.Contains(out, "c1 has ended") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	m.kill(t, s.Keeper.PID)
	eventually(t, "the list tells of it", func() error {
		if out := m.labOK(t, "list"); !strings.Contains(out, "left over") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if _, errText, code := m.lab(t, "up", "bridge", "--name", "h"); code != 1 || !strings.Contains(errText, "lab down h") {
		t.Errorf("exit code %d: %s", code, errText)
	}
	m.labOK(t, "down", "h")
	m.noTraces(t, before)
}

// state reads the state of a lab.
func (m *machine) state(t *testing.T, name string) (s fixtures.State) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/run/nscope/labs/%s.json", m.pid, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}
