package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

// terminal is a tmux of one pane on a machine, with a shell in it.
type terminal struct {
	t    *testing.T
	m    *machine
	sock string
}

func newTerminal(t *testing.T, m *machine, w, h int) *terminal {
	t.Helper()
	nettest.NeedsTool(t, "tmux")
	tm := &terminal{t, m, filepath.Join(t.TempDir(), "s")}
	tm.run("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h), "env", "-u", "TMUX", "PS1=shell> ", "TERM=screen-256color", "LC_ALL=C.UTF-8", "sh", "-i")
	tm.until("a shell", func(s string) bool { return strings.Contains(s, "shell>") })
	return tm
}

func (tm *terminal) run(args ...string) string {
	tm.t.Helper()
	return tm.m.run(tm.t, append([]string{"tmux", "-u", "-S", tm.sock}, args...)...)
}

// keys sends keys by their names, text as it is.
func (tm *terminal) keys(names ...string) {
	tm.t.Helper()
	tm.run(append([]string{"send-keys", "--"}, names...)...)
}

func (tm *terminal) text(s string) { tm.t.Helper(); tm.run("send-keys", "-l", "--", s) }

func (tm *terminal) screen() string { tm.t.Helper(); return tm.run("capture-pane", "-p") }

// until waits for a screen that is as it should be.
func (tm *terminal) until(what string, ok func(screen string) bool) string {
	tm.t.Helper()
	var s string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if s = tm.screen(); ok(s) {
			return s
		}
	}
	tm.t.Fatalf("no %s on the screen:\n%s", what, s)
	return ""
}

// sees waits for texts on the screen.
func (tm *terminal) sees(texts ...string) string {
	tm.t.Helper()
	return tm.until(fmt.Sprintf("%q", texts), func(s string) bool {
		for _, x := range texts {
			if !strings.Contains(s, x) {
				return false
			}
		}
		return true
	})
}

// given tells whether the terminal is the shell's again: the ordinary screen, a cursor, lines and echo.
func (tm *terminal) given() {
	tm.t.Helper()
	tm.until("terminal given back", func(string) bool {
		return strings.TrimSpace(tm.run("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}")) == "0 1 0"
	})
	tm.text("stty -a")
	tm.keys("Enter")
	s := tm.sees(" icanon", " echo ")
	if strings.Contains(s, "-icanon") || strings.Contains(s, "-echo ") {
		tm.t.Errorf("the terminal is not as it was:\n%s", s)
	}
	tm.text("clear")
	tm.keys("Enter")
}

// The interactive view on a lab, in a real terminal: it opens, filters, follows the wires from a container to the tunnel, sees
// the lab break, is resized while it runs, is stopped and goes on, and gives the terminal back however it ends.
func TestInteractive(t *testing.T) {
	m := newMachine(t)
	m.up(t, "overlay", "ov")
	tm := newTerminal(t, m, 120, 40)
	start := func() {
		t.Helper()
		tm.text(m.nscope + " --no-color; echo EXIT=$?")
		tm.keys("Enter")
		tm.sees("[1 topology]", "live ", "NIC / TUNNEL")
	}
	start()

	tm.text("?")
	tm.sees("How to find", "which container is behind")
	tm.text("x") // any key closes it; escape and a letter at once would be another key
	tm.until("closed help", func(s string) bool { return !strings.Contains(s, "How to find") })
	tm.text("/c1")
	tm.sees("/c1", "enter keeps it")
	tm.keys("Enter")
	tm.sees("esc ends the filter", "c1")
	tm.keys("Escape")
	tm.until("ended filter", func(s string) bool { return !strings.Contains(s, "esc ends the filter") })

	tm.text(":find c1")
	tm.keys("Enter")
	at := func(what string) string { t.Helper(); return tm.sees("\n " + what) }
	at("c1 ")
	for _, what := range []string{"eth0  veth", "veth", "br0  bridge", "vxlan0  vxlan"} {
		tm.keys("h")
		at(what)
	}
	vnis := func(s string) (all []string) {
		for _, m := range regexp.MustCompile(`vni (\d+)`).FindAllStringSubmatch(s, -1) {
			if !slices.Contains(all, m[1]) {
				all = append(all, m[1])
			}
		}
		return all
	}
	if all := vnis(tm.screen()); len(all) != 1 {
		t.Fatalf("VNIs %v in\n%s", all, tm.screen())
	}
	tm.keys("Enter")
	tm.sees("[overview]")
	tm.keys("Escape")
	at("vxlan0  vxlan")

	m.labOK(t, "break", "ov", "vxlan-vni-mismatch")
	tm.until("end of the tunnel with another VNI", func(s string) bool { return len(vnis(s)) == 2 })

	for _, size := range [][2]int{{80, 24}, {20, 5}, {200, 60}, {1, 1}, {120, 40}} {
		tm.run("resize-window", "-x", fmt.Sprint(size[0]), "-y", fmt.Sprint(size[1]))
		tm.keys("j")
	}
	tm.sees("NIC / TUNNEL", "[1 topology]")

	tm.text(":find c1")
	tm.keys("Enter")
	at("c1 ")
	tm.text("x")
	tm.sees("a shell in the network namespace")
	tm.text("ip -o link; exit 3")
	tm.keys("Enter")
	tm.sees("[1 topology]")

	tm.keys("C-z")
	tm.given()
	tm.text("fg")
	tm.keys("Enter")
	tm.sees("[1 topology]")

	tm.text("q")
	tm.given()
	start()
	tm.text("q")
	tm.sees("EXIT=0")
	tm.given()

	tm.looks()

	// What kills it on the spot, and a crash of what it does beside drawing, leave the terminal to the process that keeps it.
	ended := func() {
		t.Helper()
		tm.until("end of the terminal's keeper", func(string) bool { return m.run(t, "sh", "-c", "pgrep -f 'terminal-keepe[r]' || true") == "" })
	}
	for signal, says := range map[string]string{"KILL": "EXIT=137", "SEGV": "EXIT=2"} {
		start()
		m.run(t, "pkill", "-"+signal, "-x", "nscope")
		tm.sees(says)
		if all := tm.run("capture-pane", "-p", "-S", "-2000"); signal == "SEGV" && !strings.Contains(all, "SIGSEGV: segmentation violation") {
			t.Errorf("the crash is not told of:\n%s", all)
		}
		tm.given()
		ended()
	}
	// A terminal that is the shell's already is left alone.
	start()
	tm.keys("C-z")
	tm.given()
	tm.text("printf '\\033[?1049h'; echo another")
	tm.keys("Enter")
	tm.sees("another")
	m.run(t, "pkill", "-KILL", "-x", "nscope")
	ended()
	tm.sees("another")
	if on := strings.TrimSpace(tm.run("display-message", "-p", "#{alternate_on}")); on != "1" {
		t.Errorf("the screen of another program is taken away: %s", on)
	}
	tm.text("printf '\\033[?1049l'; clear")
	tm.keys("Enter")

	for _, signal := range []string{"TERM", "INT", "HUP"} {
		start()
		m.run(t, "pkill", "-"+signal, "-x", "nscope")
		tm.sees("EXIT=")
		tm.given()
	}
}

// sgr are the colours of a screen, as tmux tells them: 31, 94, 38;5;7 …
var sgr = regexp.MustCompile("\x1b\\[(?:[0-9;]*;)?((?:3|9)[0-7]|38;[0-9;]*)m")

// looks opens the view under terminals and settings of other kinds.
func (tm *terminal) looks() {
	tm.t.Helper()
	for _, c := range []struct {
		env, flags, ground string
		colours            []string // those that may be there; at least one is, where there are any
		ascii              bool
	}{
		{"", "", "dark", []string{"91", "32", "33", "36", "94", "95"}, false},
		{"COLORFGBG='0;15'", "", "light", []string{"31", "34", "35"}, false},
		{"NO_COLOR=1", "", "", nil, false},
		{"", "--no-color --ascii", "", nil, true},
	} {
		tm.text(c.env + " " + tm.m.nscope + " " + c.flags + "; echo EXIT=$?")
		tm.keys("Enter")
		tm.sees("[1 topology]", "live ", "NIC / TUNNEL", "br0")
		found := sgr.FindAllStringSubmatch(tm.run("capture-pane", "-p", "-e"), -1)
		if (len(found) == 0) != (c.colours == nil) {
			tm.t.Errorf("%s %s: %d colours", c.env, c.flags, len(found))
		}
		for _, m := range found {
			if !slices.Contains(c.colours, m[1]) {
				tm.t.Errorf("%s %s: colour %s on a %s ground", c.env, c.flags, m[1], c.ground)
				break
			}
		}
		if i := strings.IndexFunc(tm.screen(), func(r rune) bool { return r > '~' }); c.ascii && i >= 0 {
			tm.t.Errorf("more than ASCII at %d of\n%s", i, tm.screen())
		}
		tm.text("q")
		tm.sees("EXIT=0")
		tm.given()
	}
	// Where no cursor can be moved the list comes, and why.
	for term, want := range map[string]string{"TERM=dumb": "TERM=dumb cannot move the cursor: this is nscope ps", "TERM=": "TERM= cannot move the cursor: this is nscope ps"} {
		tm.text(term + " " + tm.m.nscope + " --no-engine; echo EXIT=$?")
		tm.keys("Enter")
		tm.sees(want, "EXIT=0", "NAME ")
		tm.text("clear")
		tm.keys("Enter")
	}
	tm.text(tm.m.nscope + " --no-engine | cat")
	tm.keys("Enter")
	tm.sees("not a terminal: this is nscope ps", "NAME ")
	tm.text("clear")
	tm.keys("Enter")
}
