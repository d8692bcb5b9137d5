package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// churnReads is set for a run of this binary, inside a lab's node, that reads it so many times: "<times> <folder>".
const churnReads = "NSCOPE_E2E_READS"

// churnLimit bounds how long that goes on, churnLeast is how often it must have been done by then.
const (
	churnLimit = 45 * time.Second
	churnLeast = 50
)

func init() {
	job := os.Getenv(churnReads)
	if job == "" {
		return
	}
	n, dir, _ := strings.Cut(job, " ")
	times, _ := strconv.Atoi(n)
	start := time.Now()
	for i := range times {
		if time.Since(start) > churnLimit {
			os.Exit(0) // a machine that is busy with other things
		}
		// An engine that starts and stops containers is slow to answer; the kernel is not.
		opts := []inspect.Option{inspect.WithDepth(inspect.Depth(i % 2)), inspect.WithTimeout(20 * time.Second)}
		if i%4 != 0 {
			opts = append(opts, inspect.WithoutEngines())
		}
		s, err := inspect.Collect(context.Background(), opts...)
		if err == nil {
			err = snapshot.Save(filepath.Join(dir, fmt.Sprintf("%03d.json.zst", i)), s)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// TestChurn reads a node 200 times while 20 containers start and stop there without pause. There may be no error, no gap,
// and no edge that was never true.
//
// The truth: every container has a MAC that follows from its name, so it can be told whether it ever was in the namespace
// that it is said to be in; and the node's own link events, heard from before the first container, say which ifindexes
// were pairs. Both ends of a pair are made in the node, where an ifindex is not given out twice.
func TestChurn(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts an engine")
	}
	lab := peer.NewDocker(t, 1)
	n := lab.Nodes[0]
	events := hear(t, n.PidNSInit)
	n.Docker(t, "network", "create", "appnet")
	capture := startCaptureBy(t, n.Enter(binary(t), "capture", "all", "icmp"))

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	started := 0
	slots := make(chan *slot, 20)
	for i := range cap(slots) {
		slots <- &slot{number: i}
	}
	for i := range 3 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			for ctx.Err() == nil {
				s := <-slots
				if err := s.turn(context.WithoutCancel(ctx), n, r.IntN(2) == 0); err != nil {
					t.Error(err)
				}
				mu.Lock()
				started += s.fresh()
				mu.Unlock()
				slots <- s
			}
		})
	}
	finished := sync.OnceFunc(func() { stop(); wg.Wait() })
	defer finished()

	const times, outside = 200, 10
	dir := openTemp(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := n.Enter(exe)
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d %s", churnReads, times, dir))
	var errOut strings.Builder
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range outside {
		out, errOut := finishAny(t, exec.Command(binary(t), "--timeout", "20s", "snapshot", filepath.Join(dir, fmt.Sprintf("out%d.json.zst", i))))
		if strings.Contains(out+errOut, "panic") {
			t.Error(errOut)
		}
	}
	if err := cmd.Wait(); err != nil || errOut.Len() > 0 {
		t.Errorf("%v: %s", err, errOut.String())
	}
	finished()
	capture.letsGo(netnsInode(fmt.Sprintf("/proc/%d/ns/net", n.PidNSInit)), 2)
	if out := capture.end(true); strings.Contains(out, "panic") {
		t.Error(out)
	}
	phoenix(t, n)
	if started < 20 {
		t.Errorf("the lab itself: only %d containers were started", started)
	}

	c := &churn{pairs: events(), home: netnsInode(fmt.Sprintf("/proc/%d/ns/net", n.PidNSInit)), dir: dir}
	if len(c.pairs) < 20 {
		t.Fatalf("the lab itself: only %d pairs were heard of", len(c.pairs))
	}
	done := 0
	for ; done < times; done++ {
		name := fmt.Sprintf("%03d", done)
		if _, err := os.Stat(filepath.Join(dir, name+".json.zst")); err != nil {
			break
		}
		c.check(t, name)
	}
	for i := range outside {
		c.check(t, fmt.Sprintf("out%d", i))
	}
	t.Logf("%d containers were started; %d seen running and %d wires, in %d snapshots", started, c.seen, c.wires, done+outside)
	if done < churnLeast || c.seen < 20 || c.wires < done {
		t.Errorf("hardly anything was seen: %d containers, %d wires", c.seen, c.wires)
	}
}

// slot is one container that comes and goes; every time it has another name.
type slot struct {
	number, life int
	running      bool
	news         int
}

func (s *slot) name() string { return fmt.Sprintf("churn-%d-%d", s.number, s.life) }

func (s *slot) fresh() int { n := s.news; s.news = 0; return n }

// churnMAC is the MAC of the container of this name.
func churnMAC(name string) string {
	var number, life int
	if n, _ := fmt.Sscanf(name, "churn-%d-%d", &number, &life); n != 2 {
		return ""
	}
	return fmt.Sprintf("02:c4:00:%02x:%02x:%02x", number, life>>8, life&0xff)
}

func (s *slot) turn(ctx context.Context, n *peer.Node, app bool) error {
	if s.running {
		s.running = false
		_, err := n.CLI(ctx, "rm", "-f", s.name())
		return err
	}
	s.life++
	s.running, s.news = true, 1
	net := "bridge"
	if app {
		net = "appnet"
	}
	_, err := n.CLI(ctx, "run", "-d", "--name", s.name(), "--network", net, "--mac-address", churnMAC(s.name()), peer.Image)
	return err
}

func finishAny(t *testing.T, cmd *exec.Cmd) (string, string) {
	t.Helper()
	return finish(t, 0, cmd)
}

// churn compares snapshots with what ever was true.
type churn struct {
	dir   string
	home  uint64
	pairs map[[2]int]bool // ifindex in the node, ifindex of its peer
	seen  int
	wires int
}

func (c *churn) check(t *testing.T, name string) {
	t.Helper()
	s := load(t, filepath.Join(c.dir, name+".json.zst"))
	g := topo.Build(s)
	home := node(t, g, fmt.Sprintf("netns:%.8s:%d", s.Host.BootID, c.home))
	engine := ""
	for _, e := range s.Host.Engines {
		if e.Home.Inode() == c.home && e.Kind == "docker" {
			engine = e.ID
			if !e.Reachable {
				t.Errorf("%s: the engine did not answer: %s", name, e.Error)
			}
		}
	}
	inner := !strings.HasPrefix(name, "out") // from outside other labs' troubles are seen too
	for _, gap := range g.Gaps {
		if strings.Contains(gap.Error, "could not be told") && strings.HasPrefix(string(gap.Namespace), "via:") {
			continue // the switch, which the node cannot enter
		}
		if inner || gap.Reader == "engine "+engine || gap.Namespace.Inode() == c.home {
			t.Errorf("%s: gap: %+v", name, gap)
		}
	}
	for _, e := range g.Edges {
		switch e.Kind {
		case topo.EdgeRunsIn:
			n := node(t, g, e.From)
			mac := churnMAC(n.Name)
			if mac == "" || n.Attrs.EngineID != engine {
				continue
			}
			c.seen++
			if e.To == home.ID {
				t.Errorf("%s: %s is said to run in the node's own namespace", name, n.Name)
			}
			for _, in := range g.In(e.To, topo.EdgeIn) {
				if l := node(t, g, in.From); l.Name == "eth0" && l.Attrs.MAC != mac && strings.HasPrefix(l.Attrs.MAC, "02:c4:") {
					t.Errorf("%s: %s (%s) is said to run where eth0 has %s", name, n.Name, mac, l.Attrs.MAC)
				}
			}
		case topo.EdgeVeth:
			a, b := node(t, g, e.From), node(t, g, e.To)
			if b.Attrs.Netns == home.ID {
				a, b = b, a
			}
			if a.Attrs.Netns != home.ID || a.Name == "eth0" {
				continue
			}
			c.wires++
			if !c.pairs[[2]int{a.Attrs.Ifindex, b.Attrs.Ifindex}] {
				t.Errorf("%s: %s (%d) was never paired with %s (%d)", name, a.Name, a.Attrs.Ifindex, b.Name, b.Attrs.Ifindex)
			}
		}
	}
}

// hear listens to the link events of a process's network namespace; the result stops that and tells the pairs.
func hear(t *testing.T, pid int) func() map[[2]int]bool {
	t.Helper()
	h, err := netns.OpenPath(fmt.Sprintf("/proc/%d/ns/net", pid), "")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	fd := -1
	err = h.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20)
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK})
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() map[[2]int]bool {
		defer unix.Close(fd)
		pairs := map[[2]int]bool{}
		buf := make([]byte, 1<<18)
		for {
			n, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
			if errors.Is(err, unix.EAGAIN) {
				return pairs
			}
			if err != nil {
				t.Fatalf("the lab itself: link events were lost: %v", err)
			}
			msgs, err := syscall.ParseNetlinkMessage(buf[:n])
			if err != nil {
				t.Fatal(err)
			}
			for i := range msgs {
				m := &msgs[i]
				if m.Header.Type != unix.RTM_NEWLINK {
					continue
				}
				attrs, err := syscall.ParseNetlinkRouteAttr(m)
				if err != nil {
					t.Fatal(err)
				}
				index := int(int32(le32(m.Data[4:]))) // struct ifinfomsg
				for _, a := range attrs {
					if a.Attr.Type == unix.IFLA_LINK && len(a.Value) == 4 {
						pairs[[2]int{index, int(le32(a.Value))}] = true
					}
				}
			}
		}
	}
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
