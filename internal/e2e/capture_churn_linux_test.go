package e2e

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/fixtures/peer"
)

// heldBySockets are the inodes of the namespaces that a process keeps by a socket, with how many.
func heldBySockets(t *testing.T, pid int) map[uint64]int {
	t.Helper()
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint64]int{}
	for _, f := range fds {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, f.Name()))
		n, _ := strconv.Atoi(f.Name())
		if !strings.HasPrefix(to, "socket:") {
			continue
		}
		sock, err := unix.PidfdGetfd(pidfd, n, 0)
		if err != nil {
			continue // closed since
		}
		if ns, err := unix.IoctlRetInt(sock, unix.SIOCGSKNS); err == nil {
			var st unix.Stat_t
			if unix.Fstat(ns, &st) == nil {
				out[st.Ino]++
			}
			unix.Close(ns)
		}
		unix.Close(sock)
	}
	return out
}

// heldByOthers are the inodes of the namespaces that a process is in, or that are mounted somewhere.
func heldByOthers(t *testing.T) map[uint64]bool {
	t.Helper()
	out := map[uint64]bool{}
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		tasks, _ := filepath.Glob(p + "/task/*/ns/net")
		for _, task := range tasks {
			if ino, err := inodeOf(task); err == nil {
				out[ino] = true
			}
		}
		f, err := os.Open(p + "/mountinfo")
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			if _, rest, ok := strings.Cut(s.Text(), " net:["); ok {
				n, _, _ := strings.Cut(rest, "]")
				if ino, err := strconv.ParseUint(n, 10, 64); err == nil {
					out[ino] = true
				}
			}
		}
		f.Close()
		fds, _ := filepath.Glob(p + "/fd/*")
		for _, fd := range fds {
			if to, _ := os.Readlink(fd); strings.HasPrefix(to, "net:[") {
				if ino, err := strconv.ParseUint(strings.Trim(to, "net:[]"), 10, 64); err == nil {
					out[ino] = true
				}
			}
		}
	}
	return out
}

func inodeOf(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return st.Ino, err
}

// program is the process that a command which only enters a host has begun there.
func program(t *testing.T, pid int) int {
	t.Helper()
	for {
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err != nil || string(comm) == "nscope\n" {
			return pid
		}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(string(children), &pid); err != nil {
			t.Fatalf("process %d is not nscope and has no child", pid)
		}
	}
}

// letsGo waits until a running capture of all namespaces keeps none that nobody else holds, has one ring in each, and few threads.
func (c *capturing) letsGo(home uint64, seen int) {
	c.t.Helper()
	c.pid = program(c.t, c.cmd.Process.Pid)
	pid := c.pid
	var pinned []uint64
	var rings map[uint64]int
	for range 300 {
		rings = heldBySockets(c.t, pid)
		others := heldByOthers(c.t)
		pinned = pinned[:0]
		for ino := range rings {
			if !others[ino] {
				pinned = append(pinned, ino)
			}
		}
		// While names are read anew, other sockets are open in a namespace for a moment.
		many := slices.ContainsFunc(slices.Collect(maps.Values(rings)), func(n int) bool { return n > 2 })
		if len(pinned) == 0 && !many {
			break
		}
		time.Sleep(100 * time.Millisecond) // what it watches sends no event
	}
	if len(pinned) > 0 {
		c.t.Errorf("namespaces that only the capture keeps: %v", slices.Sorted(slices.Values(pinned)))
	}
	for ino, n := range rings {
		if n > 2 {
			c.t.Errorf("%d sockets in the namespace %d", n, ino)
		}
	}
	if rings[home] == 0 || len(rings) < seen {
		c.t.Errorf("rings in %d namespaces, without the node's own or fewer than %d", len(rings), seen)
	}
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if len(fds) > len(rings)+40 || len(threads) > 24 {
		c.t.Errorf("%d file descriptors and %d threads for %d rings", len(fds), len(threads), len(rings))
	}
	c.t.Logf("capture: %d rings, %d file descriptors, %d threads after the churn", len(rings), len(fds), len(threads))
}

// phoenix restarts a container that is captured by its name: it is let go of, and joins again by itself.
func phoenix(t *testing.T, n *peer.Node) {
	n.Docker(t, "run", "-d", "--name", "phoenix", peer.Image)
	c := startCapture(t, "container:"+n.Inspect(t, "phoenix").ID, "icmp")
	n.Docker(t, "exec", "phoenix", "ping", "-c", "1", "127.0.0.1")
	n.Docker(t, "restart", "-t", "0", "phoenix")
	c.until("has ended")
	c.until(": capturing")
	n.Docker(t, "exec", "phoenix", "ping", "-c", "1", "127.0.0.2")
	time.Sleep(200 * time.Millisecond) // until a block of the ring is handed over
	out := c.end(true)
	for _, a := range []string{"127.0.0.1 → 127.0.0.1 ICMP echo request", "127.0.0.1 → 127.0.0.2 ICMP echo request"} {
		if !strings.Contains(out, a) {
			t.Errorf("no %q in:\n%s", a, out)
		}
	}
}
