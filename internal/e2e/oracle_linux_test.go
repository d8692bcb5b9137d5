package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/fixtures/peer"
)

// The truth about a lab's wires, by other means than nscope's: namespaces from /proc and the engines' files, links from
// `ip -d -j addr` run inside each, and who is wired to whom by sending a frame.

// end is a link: the inode of its namespace and its ifindex there.
type end struct {
	ino   uint64
	index int
}

// oSpace is a network namespace of a lab.
type oSpace struct {
	path  string // how it was entered
	ino   uint64
	files []string // of the engine, by base name
	pids  []int
	links map[int]*oLink
	fdb   []oFDB
}

// oLink is what `ip -d -j addr` says of a link.
type oLink struct {
	Index   int    `json:"ifindex"`
	Name    string `json:"ifname"`
	Peer    int    `json:"link_index"`
	NSID    *int   `json:"link_netnsid"`
	Master  string `json:"master"`
	MAC     string `json:"address"`
	MTU     int    `json:"mtu"`
	State   string `json:"operstate"`
	Info    oInfo  `json:"linkinfo"`
	Address []struct {
		Local     string `json:"local"`
		Prefix    int    `json:"prefixlen"`
		Tentative bool   `json:"tentative"`
	} `json:"addr_info"`
}

type oInfo struct {
	Kind string `json:"info_kind"`
	Data struct {
		ID   uint32 `json:"id"`
		Port uint16 `json:"port"`
		Mode string `json:"mode"`
	} `json:"info_data"`
}

// oFDB is a line of `bridge -j fdb`.
type oFDB struct {
	MAC    string `json:"mac"`
	Dev    string `json:"ifname"`
	Dst    string `json:"dst"`
	Master string `json:"master"`
	State  string `json:"state"`
}

// oracle is the truth about the hosts of a lab.
type oracle struct {
	boot   string
	spaces map[uint64]*oSpace
	homes  map[string]uint64 // inode of each host's own namespace
	pairs  map[end]end       // both ways
}

// look asks the kernel about the hosts. The first of them is the switch, where there is one.
func look(t *testing.T, hosts ...*peer.Host) *oracle {
	t.Helper()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{boot: string(boot[:8]), spaces: map[uint64]*oSpace{}, homes: map[string]uint64{}, pairs: map[end]end{}}
	for _, h := range hosts {
		home := o.add(t, fmt.Sprintf("/proc/%d/ns/net", h.PidNSInit))
		o.homes[h.Name] = home.ino
		for pid := range processesOf(t, h) {
			if s := o.add(t, fmt.Sprintf("/proc/%d/ns/net", pid)); s != nil {
				s.pids = append(s.pids, pid)
			}
		}
		for _, dir := range []string{"/run/docker/netns", "/run/netns"} {
			files, _ := filepath.Glob(h.Root() + dir + "/*")
			for _, f := range files {
				if s := o.add(t, f); s != nil {
					s.files = append(s.files, strings.TrimPrefix(f, h.Root()))
				}
			}
		}
	}
	for _, s := range o.spaces {
		s.read(t)
	}
	o.wire(t)
	return o
}

// processesOf are those in a host's cgroup, whatever their namespaces.
func processesOf(t *testing.T, h *peer.Host) map[int]bool {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	pids := map[int]bool{}
	for _, dir := range dirs {
		data, err := os.ReadFile(dir + "/cgroup")
		if err == nil && bytes.Contains(data, []byte(h.Cgroup+"/")) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			pids[pid] = true
		}
	}
	return pids
}

func (o *oracle) add(t *testing.T, path string) *oSpace {
	t.Helper()
	ino := netnsInode(path)
	if ino == 0 {
		return nil // a process that ended, or a file that holds nothing any more
	}
	if o.spaces[ino] == nil {
		o.spaces[ino] = &oSpace{path: path, ino: ino, links: map[int]*oLink{}}
	}
	return o.spaces[ino]
}

// netnsInode returns the inode of a netns file, 0 for what is none.
func netnsInode(path string) uint64 {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return 0
	}
	var own syscall.Stat_t
	if err := syscall.Stat("/proc/self/ns/net", &own); err != nil || own.Dev != st.Dev {
		return 0
	}
	return st.Ino
}

func (s *oSpace) run(t *testing.T, v any, args ...string) {
	t.Helper()
	cmd := exec.Command("nsenter", append([]string{"--net=" + s.path, "--"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s in %s: %v", strings.Join(args, " "), s.path, err)
	}
	if err := json.Unmarshal(out, v); err != nil {
		t.Fatalf("%s in %s: %v: %s", strings.Join(args, " "), s.path, err, out)
	}
}

func (s *oSpace) read(t *testing.T) {
	t.Helper()
	var links []*oLink
	s.run(t, &links, "ip", "-d", "-j", "addr")
	for _, l := range links {
		if l.Index != 0 {
			s.links[l.Index] = l
		}
	}
}

func (s *oSpace) byName(name string) *oLink {
	for _, l := range s.links {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// wire finds the pairs: a frame with a source address of its own is sent into every veth that is no port, and the bridge
// that learns the address tells the port by which it came. What is learnt so proves the pair and needs no ifindex.
func (o *oracle) wire(t *testing.T) {
	t.Helper()
	sent := map[string]end{}
	serial := 0
	for _, ino := range sortedInodes(o.spaces) {
		s := o.spaces[ino]
		var frames []string
		for _, l := range s.links {
			if l.Info.Kind != "veth" || l.Master != "" {
				continue
			}
			serial++
			mac := net.HardwareAddr{0x02, 0x5e, byte(os.Getpid() >> 8), byte(os.Getpid()), byte(serial >> 8), byte(serial)}.String()
			sent[mac] = end{ino, l.Index}
			frames = append(frames, fmt.Sprintf("%d,%s", l.Index, mac))
		}
		if len(frames) == 0 {
			continue
		}
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("nsenter", "--net="+s.path, "--", exe)
		cmd.Env = append(os.Environ(), sendFrames+"="+strings.Join(frames, " "))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("send frames in %s: %v: %s", s.path, err, out)
		}
	}
	for _, s := range o.spaces {
		bridge := false
		for _, l := range s.links {
			bridge = bridge || l.Info.Kind == "bridge" || l.Info.Kind == "vxlan"
		}
		if !bridge {
			continue
		}
		s.run(t, &s.fdb, "bridge", "-j", "fdb", "show")
		for _, e := range s.fdb {
			from, ok := sent[e.MAC]
			if !ok || e.Master == "" {
				continue
			}
			port := s.byName(e.Dev)
			if port == nil || port.Info.Kind != "veth" {
				continue // it came through a tunnel
			}
			to := end{s.ino, port.Index}
			if old, ok := o.pairs[to]; ok && old != from || o.pairs[from] != (end{}) && o.pairs[from] != to {
				t.Fatalf("the frame of %v came in at %v, which has that of %v already", from, to, old)
			}
			o.pairs[from], o.pairs[to] = to, from
		}
	}
	// A healthy baseline: every veth is paired, and the indexes that the kernel gives agree.
	for _, s := range o.spaces {
		for _, l := range s.links {
			if l.Info.Kind != "veth" {
				continue
			}
			p, ok := o.pairs[end{s.ino, l.Index}]
			if !ok || l.Peer != p.index {
				t.Errorf("the lab itself: %s of netns %d (%s) is paired with %v, its peer has ifindex %d", l.Name, s.ino, s.path, p, l.Peer)
			}
		}
	}
}

func sortedInodes[V any](m map[uint64]V) []uint64 {
	var out []uint64
	for ino := range m {
		out = append(out, ino)
	}
	slices.Sort(out)
	return out
}

// sendFrames is set for a run of this binary that sends frames: "<ifindex>,<source address> …".
const sendFrames = "NSCOPE_E2E_FRAMES"

// Here and not in TestMain: nothing of the tests must run in there.
func init() {
	frames := os.Getenv(sendFrames)
	if frames == "" {
		return
	}
	if err := sendAll(frames); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func sendAll(list string) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for f := range strings.FieldsSeq(list) {
		index, mac, _ := strings.Cut(f, ",")
		n, err := strconv.Atoi(index)
		if err != nil {
			return err
		}
		src, err := net.ParseMAC(mac)
		if err != nil {
			return err
		}
		// To LLDP's group address: a bridge learns the sender and forwards nothing (IEEE 802.1D, 7.12.6).
		frame := append([]byte{0x01, 0x80, 0xc2, 0, 0, 0x0e}, src...)
		frame = append(frame, 0x88, 0xb5) // for experiments
		frame = append(frame, make([]byte, 46)...)
		to := &unix.SockaddrLinklayer{Ifindex: n, Halen: 6}
		copy(to.Addr[:], frame)
		if err := unix.Sendto(fd, frame, 0, to); err != nil {
			return fmt.Errorf("ifindex %d: %w", n, err)
		}
	}
	return nil
}

// ids of the graph.
func (o *oracle) linkID(e end) string { return fmt.Sprintf("link:%s:%d/%d", o.boot, e.ino, e.index) }
func (o *oracle) nsID(ino uint64) string {
	return fmt.Sprintf("netns:%s:%d", o.boot, ino)
}

// file finds the namespace that an engine's file of this name holds on a host.
func (o *oracle) file(h *peer.Host, path string) *oSpace {
	return o.spaces[netnsInode(h.Root()+path)]
}
