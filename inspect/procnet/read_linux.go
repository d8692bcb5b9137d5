package procnet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A folder of /proc/sys/net and its files, with the key of each in the answer. Paths end in NUL for the raw calls.
type dir struct {
	files []file
}

type file struct {
	path []byte // relative to /proc/sys/net
	key  string
}

var dirs = func() []dir {
	var out []dir
	for _, g := range groups {
		var d dir
		for _, k := range g.keys {
			d.files = append(d.files, file{append([]byte(g.dir+"/"+k), 0), key(g.dir, k)})
		}
		out = append(out, d)
	}
	return out
}()

// key is the name as sysctl prints it.
func key(dir, name string) string {
	b := []byte("net." + dir + "." + name)
	for i, c := range b {
		if c == '/' {
			b[i] = '.'
		}
	}
	return string(b)
}

// values holds the values that sysctls mostly have, so that they need not be made each time.
var values = func() map[string]string {
	m := map[string]string{}
	for _, v := range []string{
		"0", "1", "2", "3", "4", "8", "10", "30", "60", "64", "100", "120", "128", "180", "255", "256", "512", "600", "1000", "1024",
		"2048", "4096", "6168", "7200", "8192", "65536", "212992", "262144", "432000", "32768\t60999", "1\t0", "0\t2147483647",
		"fq_codel", "pfifo_fast",
	} {
		m[v] = v
	}
	return m
}()

// Sysctls reads the sysctls that decide what the calling thread's network namespace does with a packet, by the names that
// sysctl has for them ("net.ipv4.ip_forward"), with the values as the files hold them (numbers of a list are separated by
// a TAB), adds them to the map given (a new one where it is nil) and returns that. Those of single interfaces are not
// among them: rtnl.Conn.Read puts them into the same map.
//
// What the kernel does not have is left out. The error is of the first one that is there and could not be read; the
// others are in the map all the same.
func Sysctls(into map[string]string) (map[string]string, error) {
	out := into
	if out == nil {
		out = make(map[string]string, 96)
	}
	tree, err := takeTree()
	if err != nil {
		return out, fmt.Errorf("open /proc/sys/net: %w", err)
	}
	defer giveTree(tree)
	root := tree.root
	var first error
	var buf [128]byte
	for i := range dirs {
		for j := range dirs[i].files {
			f := &dirs[i].files[j]
			n, errno := readAt(root, f.path, buf[:])
			switch {
			case errno == 0:
				out[f.key] = value(buf[:n])
			case errno == unix.ENOENT:
			case first == nil:
				first = fmt.Errorf("read sysctl %s: %w", f.key, errno)
			}
			if errno == unix.ENOENT && j == 0 {
				break
			}
		}
	}
	// The same variable by two names (net/ipv4/devinet.c).
	if v, ok := out["net.ipv4.ip_forward"]; ok {
		out["net.ipv4.conf.all.forwarding"] = v
	}
	return out, first
}

func value(b []byte) string {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	if s, ok := values[string(b)]; ok {
		return s
	}
	return string(b)
}

// readAt reads a small file whole. path ends in NUL.
func readAt(dir int, path, buf []byte) (n int, err unix.Errno) {
	fd, _, err := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(&path[0])), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if err != 0 {
		return 0, err
	}
	r, _, err := unix.Syscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	unix.Close(int(fd))
	if err != 0 {
		return 0, err
	}
	return int(r), 0
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// read gives the content of a file to f, in a buffer that is used again. A missing file is no error.
func read(path string, f func([]byte)) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b := *buf
	n := 0
	for {
		if n == len(b) {
			if n >= maxFile {
				return &os.PathError{Op: "read", Path: path, Err: unix.EFBIG}
			}
			b = append(b, make([]byte, len(b))...)
			*buf = b
		}
		r, err := unix.Read(fd, b[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "read", Path: path, Err: err}
		}
		if r == 0 {
			break
		}
		n += r
	}
	f(b[:n])
	return nil
}

// maxFile bounds what is read of a file that should be some kilobytes.
const maxFile = 8 << 20

// Counters reads the counters of the calling thread's network namespace: /proc/thread-self/net/{snmp,netstat,snmp6,xfrm_stat}
// as "Tcp.RetransSegs", "TcpExt.ListenDrops", "Ip6.InDiscards", "Xfrm.OutNoStates", and stat/nf_conntrack, added up over
// the CPUs, as "conntrack.drop" ("conntrack.entries" is how many there are now). Zeros are left out. With an error it
// returns what could be read.
func Counters() (map[string]uint64, error) {
	out := make(map[string]uint64, 32)
	const dir = "/proc/thread-self/net/"
	err := errors.Join(
		read(dir+"snmp", func(b []byte) { parsePairs(b, out) }),
		read(dir+"netstat", func(b []byte) { parsePairs(b, out) }),
		read(dir+"snmp6", func(b []byte) { parse6(b, out) }),
		read(dir+"xfrm_stat", func(b []byte) { parse6(b, out) }),
		read(dir+"stat/nf_conntrack", func(b []byte) { parseStat("conntrack", b, out) }),
	)
	return out, err
}

// HostCounters reads the counters of the whole kernel from the /proc mounted at proc: softnet_stat as "softnet.dropped", and
// the ARP and neighbour discovery tables' as "arp_cache.table_fulls" and "ndisc_cache.table_fulls" ("…entries" is how many
// there are now, in all namespaces). They are seen from the initial namespace alone, where pid 1 is asked for; where that
// is in another namespace, the tables are absent. Zeros are left out.
func HostCounters(proc string) (map[string]uint64, error) {
	out := map[string]uint64{}
	dir := filepath.Join(proc, "1/net")
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Join(proc, "self/net")
	}
	err := errors.Join(
		read(filepath.Join(dir, "softnet_stat"), func(b []byte) { parseSoftnet(b, out) }),
		read(filepath.Join(dir, "stat/arp_cache"), func(b []byte) { parseStat("arp_cache", b, out) }),
		read(filepath.Join(dir, "stat/ndisc_cache"), func(b []byte) { parseStat("ndisc_cache", b, out) }),
	)
	return out, err
}
