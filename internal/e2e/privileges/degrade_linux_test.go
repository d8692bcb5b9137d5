package privileges

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// five are the capabilities that are enough.
var five = []string{"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_DAC_READ_SEARCH"}

// What can be lost; docs/privileges.md has a row for each.
const (
	factListed  = "namespaces of processes"
	factMounted = "bind mounts in other mount namespaces"
	factInside  = "links, addresses, routes"
	factClosed  = "namespaces mounted in root's folders"
	factFD      = "namespaces held by a descriptor"
	factSocket  = "namespaces held by a socket"
	factLink    = "namespaces that only a link leads to"
	factOwner   = "which process has a socket"
	factIPsec   = "IPsec policies"
	factRules   = "firewall rules"
	factName    = "names from state files"
	factExec    = "exec"
	factRaw     = "ping and tcpdump under exec"
)

var allFacts = []string{factListed, factMounted, factInside, factClosed, factFD, factSocket, factLink, factOwner, factIPsec, factRules, factName, factExec, factRaw}

// lostBy is the truth of docs/privileges.md: what a user other than root loses without one of the five.
var lostBy = map[string][]string{
	"CAP_SYS_ADMIN":       {factInside, factClosed, factIPsec, factRules, factExec},
	"CAP_SYS_PTRACE":      {factListed, factMounted, factInside, factFD, factSocket, factOwner, factIPsec, factRules, factExec},
	"CAP_NET_ADMIN":       {factSocket, factLink, factIPsec, factRules},
	"CAP_NET_RAW":         {factRaw},
	"CAP_DAC_READ_SEARCH": {factClosed, factFD, factSocket, factOwner, factName},
}

// scene is a machine with one namespace of each kind of holder.
type scene struct {
	*machine
	bin string
	// inodes by fact
	listed, mounted, closed, fd, socket uint64
	// pid of the process in listed, and of the one that has the socket
	pid, owner int
}

func newScene(t *testing.T) *scene {
	nettest.NeedsTool(t, "busybox", "nft")
	s := &scene{bin: nscope(t), machine: newMachine(t)}
	pid, said := s.start(t, "", `unshare -n sh -c 'ip xfrm policy add src 10.0.0.0/24 dst 10.1.0.0/24 dir out; nft add table ip t; ip link set lo up; readlink /proc/self/ns/net >/run/listed; exec "$@"' -`)
	_ = said
	s.pid = pid
	eventually(t, "the first namespace", func() bool {
		b, err := os.ReadFile(s.path("/run/listed"))
		if err != nil || len(b) == 0 {
			return false
		}
		s.listed = inodeOf(t, strings.TrimSpace(string(b)))
		return true
	})
	_, said = s.start(t, `exec 9<&0; unshare -m sh -ec 'mount -t tmpfs -o mode=755 tmpfs /mnt; touch /mnt/ns; unshare --net=/mnt/ns true; stat -c %i /mnt/ns >/run/mounted; exec sleep 1000' & while [ ! -s /run/mounted ]; do sleep 0.05; done; say=$(cat /run/mounted)`, "")
	s.mounted = inodeOf(t, said)
	s.must(t, `mkdir -m 700 /run/docker; mkdir /run/docker/netns; touch /run/docker/netns/closed; unshare --net=/run/docker/netns/closed true`)
	s.closed = s.inode(t, "/run/docker/netns/closed")

	file, inode := loose(t)
	s.start(t, "", "setpriv --reuid=65533 --regid=65533 --clear-groups", file)
	file.Close()
	s.fd = inode

	h := nettest.New(t)
	var sock int
	if err := h.Do(func() (err error) {
		sock, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.socket = h.ID().Inode()
	h.Close()
	file = os.NewFile(uintptr(sock), "socket")
	s.start(t, "", "", file)
	file.Close()

	// Outside of the machine, so that nothing in it leads there but the link.
	nettest.Run(t, nettest.New(t), "ip", "link", "add", "far0", "type", "veth", "peer", "name", "near0", "netns", fmt.Sprintf("/proc/%d/ns/net", s.machine.pid))

	var listener int
	if err := s.netns(t).Do(func() (err error) {
		if listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err = unix.Bind(listener, &unix.SockaddrInet4{Port: 4242}); err != nil {
			return err
		}
		return unix.Listen(listener, 1)
	}); err != nil {
		t.Fatal(err)
	}
	file = os.NewFile(uintptr(listener), "listener")
	s.owner, _ = s.start(t, "", "", file)
	file.Close()

	// The state of a containerd, which needs no more than a process of that name.
	const bundle = "/run/containerd/io.containerd.runtime.v2.task/default/web/"
	s.write(t, bundle+"config.json", `{"ociVersion":"1.0.2","process":{"args":["sleep"]},"linux":{"namespaces":[{"type":"network"}]}}`, 0o600)
	s.write(t, bundle+"init.pid", fmt.Sprint(s.pid), 0o600)
	s.must(t, `chmod 711 /run/containerd/io.containerd.runtime.v2.task; chmod 700 /run/containerd/io.containerd.runtime.v2.task/default; mkdir -p /run/bin; cp "$(command -v sleep)" /run/bin/containerd; cp "$(command -v busybox)" /run/bin/`)
	s.start(t, "/run/bin/containerd 1000 &", "")
	eventually(t, "a process called containerd", func() bool {
		return s.run(t, "sh", "-c", `cat /proc/[0-9]*/comm | grep -qx containerd`).code == 0
	})
	return s
}

// nscope runs nscope in the scene with some capabilities.
func (s *scene) nscope(t *testing.T, how []string, args ...string) result {
	t.Helper()
	return s.run(t, append(append(append([]string{}, how...), s.bin), args...)...)
}

// facts are what nscope sees, and what it says on standard error.
func (s *scene) facts(t *testing.T, how []string) (seen []string, said string) {
	t.Helper()
	r := s.nscope(t, how, "snapshot", "-").wantCode(t, 0)
	said = r.err
	snap := decode[snapshot.Snapshot](t, r)
	fact := func(name string, ok bool) {
		if ok {
			seen = append(seen, name)
		}
	}
	read := func(inode uint64) bool { ns := find(&snap, inode); return ns != nil && len(ns.Links) > 0 }
	fact(factListed, find(&snap, s.listed) != nil)
	fact(factMounted, find(&snap, s.mounted) != nil)
	fact(factInside, read(s.listed))
	fact(factClosed, read(s.closed))
	fact(factFD, find(&snap, s.fd) != nil)
	fact(factSocket, find(&snap, s.socket) != nil)
	fact(factLink, slices.ContainsFunc(snap.Namespaces, func(ns snapshot.Namespace) bool {
		return ns.ID.Hidden() && slices.ContainsFunc(ns.Links, func(l snapshot.Link) bool { return l.Name == "far0" })
	}))
	own := find(&snap, snap.Host.SelfNS.Inode())
	fact(factOwner, own != nil && slices.ContainsFunc(own.Sockets, func(k snapshot.Socket) bool { return k.PID == s.owner }))
	ns := find(&snap, s.listed)
	fact(factIPsec, ns != nil && len(ns.Xfrm.Policies) > 0)
	fact(factRules, ns != nil && len(ns.Netfilter.Tables) > 0)

	r = s.nscope(t, how, "ps", "-o", "json").wantCode(t, 0)
	said += r.err
	fact(factName, slices.ContainsFunc(decode[[]topo.PSRow](t, r), func(p topo.PSRow) bool { return p.Name == "web" }))
	r = s.nscope(t, how, "exec", fmt.Sprintf("netns:%d", s.listed), "--", "true")
	if r.code != 0 {
		r.wantCode(t, 3).wantErr(t, "CAP_SYS_ADMIN and CAP_SYS_PTRACE")
	}
	fact(factExec, r.code == 0)
	fact(factRaw, s.nscope(t, how, "exec", "self", "--", "/run/bin/busybox", "ping", "-c", "1", "127.0.0.1").code == 0)
	return seen, said
}

// TestCapabilities proves docs/privileges.md: as a user who is not root, all five capabilities show everything, and
// without any one of them exactly that is lost which stands there, and said.
func TestCapabilities(t *testing.T) {
	s := newScene(t)
	doc := readDoc(t)
	if seen, said := s.facts(t, nil); len(seen) != len(allFacts) || said != "" {
		t.Fatalf("root does not see everything: %q\n%s", missing(seen), said)
	}
	if seen, said := s.facts(t, caps(65534, five...)); len(seen) != len(allFacts) || said != "" {
		t.Errorf("lost with all five: %q\n%s", missing(seen), said)
	}
	for _, drop := range five {
		t.Run(drop, func(t *testing.T) {
			rest := slices.DeleteFunc(slices.Clone(five), func(c string) bool { return c == drop })
			seen, said := s.facts(t, caps(65534, rest...))
			if got := missing(seen); !slices.Equal(got, lostBy[drop]) {
				t.Errorf("lost %q\nwant %q\n%s", got, lostBy[drop], said)
			}
			for _, fact := range lostBy[drop] {
				if !strings.Contains(doc[drop], fact) {
					t.Errorf("docs/privileges.md does not say that without %s is lost: %s", drop, fact)
				}
			}
			wantGaps(t, said, drop, drop != "CAP_NET_RAW")
		})
	}
	t.Run("none", func(t *testing.T) {
		seen, said := s.facts(t, caps(65534))
		if len(seen) != 0 {
			t.Errorf("seen without any: %q", seen)
		}
		wantGaps(t, said, "CAP_SYS_PTRACE", true)
	})
}

// TestCapabilitiesOfRoot is the same for root, who loses less: root's own files stay open.
func TestCapabilitiesOfRoot(t *testing.T) {
	s := newScene(t)
	if seen, said := s.facts(t, caps(0, five...)); len(seen) != len(allFacts) || said != "" {
		t.Errorf("lost with all five: %q\n%s", missing(seen), said)
	}
	for _, drop := range five {
		t.Run(drop, func(t *testing.T) {
			rest := slices.DeleteFunc(slices.Clone(five), func(c string) bool { return c == drop })
			seen, said := s.facts(t, caps(0, rest...))
			want := lostBy[drop]
			if drop == "CAP_DAC_READ_SEARCH" {
				want = []string{factFD} // of another user's process
			}
			if got := missing(seen); !slices.Equal(got, want) {
				t.Errorf("lost %q\nwant %q\n%s", got, want, said)
			}
			wantGaps(t, said, drop, drop != "CAP_NET_RAW")
		})
	}
}

func missing(seen []string) (out []string) {
	for _, f := range allFacts {
		if !slices.Contains(seen, f) {
			out = append(out, f)
		}
	}
	return out
}

var gapLine = regexp.MustCompile(`^nscope: (gap|note): \S`)

// wantGaps wants lines that say so about gaps, at least one of which names the capability, unless there should be none.
func wantGaps(t *testing.T, said, capability string, some bool) {
	t.Helper()
	if some != strings.Contains(said, capability) {
		t.Errorf("%s is named: %v, want %v\n%s", capability, !some, some, said)
	}
	for line := range strings.Lines(said) {
		if !gapLine.MatchString(line) {
			t.Errorf("not a line about a gap: %s", line)
		}
	}
}

// readDoc returns the rows of the table in docs/privileges.md by capability.
func readDoc(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "privileges.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "| `CAP_"); ok {
			name, _, _ := strings.Cut(rest, "`")
			rows["CAP_"+name] = line
		}
	}
	return rows
}
