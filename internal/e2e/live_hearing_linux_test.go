package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/rtnl"
)

// listeners are the sockets of rtnetlink in the calling thread's namespace that joined a group, and the messages that they lost
// (proc_net netlink: sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode), of this process alone.
func listeners() (n, drops int, err error) {
	b, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		return 0, 0, err
	}
	mine := map[string]bool{}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, 0, err
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil {
			mine[to] = true
		}
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[1] != "0" || f[3] == "00000000" || !mine["socket:["+f[9]+"]"] {
			continue
		}
		n++
		var lost int
		fmt.Sscan(f[8], &lost)
		drops += lost
	}
	return n, drops, nil
}

func (w *liveWorld) listeners(s *liveSpace) (n, drops int) {
	w.t.Helper()
	w.must(s.Do(func() (err error) { n, drops, err = listeners(); return err }))
	return n, drops
}

// heardBy checks how namespaces are heard of: one that has a number in the test's own by that one's socket, where the capability
// for it is there; every other one by a socket of its own.
func (w *liveWorld) heardBy(numbered ...*liveSpace) {
	w.t.Helper()
	for _, s := range w.spaces {
		want := 1
		if slices.Contains(numbered, s) && netns.HasCap(unix.CAP_NET_BROADCAST) {
			want = 0
		}
		if n, _ := w.listeners(s); n != want {
			w.t.Errorf("%d sockets listen in %s, not %d", n, s.Name, want)
		}
	}
}

// withoutBroadcast is set in the process of TestLiveWithoutBroadcast.
const withoutBroadcast = "NSCOPE_TEST_WITHOUT_BROADCAST"

// TestLiveWithoutBroadcast: a process without CAP_NET_BROADCAST hears the same, by a socket in each namespace. The kernel asks for it
// in setsockopt(NETLINK_LISTEN_ALL_NSID), and again of the socket's opener for each message (af_netlink.c, do_one_broadcast).
func TestLiveWithoutBroadcast(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "setpriv")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("setpriv", "--inh-caps=-all", "--bounding-set=-net_broadcast", exe, "-test.run", "^TestLiveIsCurrent$", "-test.v")
	cmd.Env = append(os.Environ(), withoutBroadcast+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestLiveIsCurrent ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLiveRepairsWhatWasLost: while nobody takes them, more events come than there is room for. In the test's own namespace, whose
// socket hears of many, everything is then read again; in one with a socket of its own that one is.
func TestLiveRepairsWhatWasLost(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.Needs(t, netns.HasCap(unix.CAP_NET_BROADCAST), "CAP_NET_BROADCAST")
	w := newLiveWorld(t, 1, 500)
	far, alone := w.space(), w.space()
	w.tie(alone, alone)
	w.numbered(far)
	gate := make(chan struct{}, 1) // whoever holds it keeps updates from being taken
	w.begin(func(u inspect.Update) {
		w.up <- u
		gate <- struct{}{}
		<-gate
	})
	w.heardBy(far)
	w.current("at the start")

	var lost []string // of what: "" for everything
	take := func() {
		var u inspect.Update
		select {
		case u = <-w.up:
		case <-time.After(time.Minute):
			t.Fatal("nothing comes any more")
		}
		w.take(u)
		if u.Lost && u.Full {
			lost = append(lost, "")
		}
		for _, e := range u.Heard {
			if e.Lost && !e.All {
				lost = append(lost, string(e.In))
			}
		}
	}
	for _, c := range []struct {
		s     *liveSpace
		drops func() int
		want  string
	}{
		{alone, func() int { _, n := w.listeners(alone); return n }, string(alone.ID())},
		{far, func() int { _, n, err := listeners(); w.must(err); return n }, ""},
	} {
		gate <- struct{}{}
		before, link := c.drops(), c.s.links[0]
		for start := time.Now(); c.drops() == before; {
			if time.Since(start) > time.Minute {
				t.Fatalf("nothing is lost in %s", c.s.Name)
			}
			for i := range 500 {
				w.must(c.s.sh.Line(fmt.Sprintf("ip link set %s mtu %d", link, 1300+i%2)))
			}
		}
		// It is not told of by the kernel any more.
		w.must(c.s.sh.Line(fmt.Sprintf("ip link set %s mtu 1411", link)))
		for range len(w.up) {
			take()
		}
		lost = nil
		<-gate
		for late := time.Now().Add(30 * time.Second); len(lost) == 0 && time.Now().Before(late); {
			take()
		}
		if !slices.Contains(lost, c.want) {
			t.Errorf("lost: %q, not %q", lost, c.want)
		}
		w.current("after the loss in " + c.s.Name)
	}
}

// TestLiveLetsNeighborsPass: neighbours that the kernel makes by itself for multicast come and go by the hundred on a host with many
// namespaces; nothing is read again for them. All others are heard of, also such as need no ARP.
func TestLiveLetsNeighborsPass(t *testing.T) {
	nettest.NeedsRoot(t)
	w := newLiveWorld(t, 2, 700)
	s := w.space()
	w.must(s.Bridge("b0", netip.MustParsePrefix("10.98.0.1/24")))
	w.must(s.Bridge("b1", netip.MustParsePrefix("10.98.1.1/24")))
	w.begin(func(u inspect.Update) { w.up <- u })
	w.current("at the start")
	var heard []string
	said := func(mark string) bool {
		heard = nil
		w.must(s.sh.Line("ip neigh add " + mark + " lladdr 02:00:00:00:00:01 dev b1 nud permanent"))
		for late := time.After(15 * time.Second); ; {
			select {
			case u := <-w.up:
				w.take(u)
				for _, e := range u.Heard {
					switch {
					case e.In != s.ID() || e.Parts&rtnl.Neighbors == 0:
					case e.Neighbor == nil:
						heard = append(heard, "gone")
					case e.Neighbor.Addr.String() == mark:
						return true
					default:
						heard = append(heard, e.Neighbor.Addr.String())
					}
				}
			case <-late:
				return false
			}
		}
	}
	for i, c := range []struct {
		addr string
		want []string
	}{
		{"224.0.0.77", nil},
		{"ff02::77", nil},
		{"10.98.0.77", []string{"10.98.0.77", "gone"}},
	} {
		w.must(s.sh.Line("ip neigh add " + c.addr + " lladdr 02:00:00:00:00:77 dev b0 nud noarp"))
		w.must(s.sh.Line("ip link set b0 down")) // which lets it go as its age does; who deletes one has it fail before
		w.must(s.sh.Line("ip link set b0 up"))
		if !said(fmt.Sprint("10.98.1.", 100+i)) {
			t.Fatal("neighbours are not heard of")
		}
		if !slices.Equal(heard, c.want) {
			t.Errorf("of %s was heard: %q, not %q", c.addr, heard, c.want)
		}
	}
}

// lookingOn is set in the other process of TestLiveBesideAnother.
const lookingOn = "NSCOPE_TEST_LOOKING_ON"

// TestLiveBesideAnother: a namespace that ends while two look on ends for both: neither's socket keeps it for the other.
func TestLiveBesideAnother(t *testing.T) {
	nettest.NeedsRoot(t)
	w := newLiveWorld(t, 3, 800)
	begin := func() { w.begin(func(u inspect.Update) { w.up <- u }) }
	if os.Getenv(lookingOn) != "" {
		begin()
		fmt.Println("looking on")
		in := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			close(in)
		}()
		for {
			select {
			case <-w.up:
			case <-in:
				return
			}
		}
	}
	stays, ends := w.space(), w.space()
	w.tie(stays, ends)
	exe, err := os.Executable()
	w.must(err)
	other := exec.Command(exe, "-test.run", "^TestLiveBesideAnother$")
	other.Env = append(os.Environ(), lookingOn+"=1")
	in, err := other.StdinPipe()
	w.must(err)
	out, err := other.StdoutPipe()
	w.must(err)
	w.must(other.Start())
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		w.must(other.Wait())
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "looking on\n" {
		t.Fatalf("%q: %v", line, err)
	}
	begin()
	w.current("at the start")
	if n, _ := w.listeners(ends); n != 1 {
		t.Fatalf("%d sockets of ours listen in what is to end", n)
	}
	id, link := ends.ID(), stays.links[0]
	w.spaces = []*liveSpace{stays}
	ends.sh.Close()
	w.must(ends.Close())
	w.await("the end of a namespace", func() bool { return !w.has(id) })
	w.await("the end of its link's other end", func() bool {
		_, err := stays.Link(link)
		return err != nil
	})
}
