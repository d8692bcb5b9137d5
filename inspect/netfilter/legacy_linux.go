package netfilter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Options of include/uapi/linux/netfilter_ipv{4,6}/ip{,6}_tables.h, the same for both.
const (
	soGetInfo    = 64
	soGetEntries = 65
	// maxLegacyBytes is the largest table that is read: a million rules and more.
	maxLegacyBytes = 512 << 20
)

// ReadLegacy appends the tables of legacy iptables and ip6tables of the calling thread's network namespace to
// ns.Netfilter. It asks only for tables that are there, by /proc/thread-self/net/{ip,ip6}_tables_names: asking for
// another makes it. Arptables' and ebtables' are not read, and said to be there if they are.
func ReadLegacy(ns *snapshot.Namespace, gap func(reader string, err error, needs string)) {
	for _, f := range []struct {
		file   string
		domain int
		level  int
		fam    *legacyFamily
	}{
		{"ip_tables_names", unix.AF_INET, unix.IPPROTO_IP, legacy4},
		{"ip6_tables_names", unix.AF_INET6, unix.IPPROTO_IPV6, legacy6},
	} {
		reader := "legacy iptables"
		if f.fam == legacy6 {
			reader = "legacy ip6tables"
		}
		names, err := tableNames(f.file)
		if err != nil {
			gap(reader, err, needsLegacy(err))
			continue
		}
		if len(names) == 0 {
			continue
		}
		tables, err := readLegacy(f.domain, f.level, f.fam, names)
		ns.Netfilter.Tables = append(ns.Netfilter.Tables, tables...)
		if err != nil {
			gap(reader, err, needsLegacy(err))
		}
	}
	if names, err := tableNames("arp_tables_names"); err == nil && len(names) > 0 {
		gap("legacy arptables", fmt.Errorf("tables of legacy arptables are there and not read: %s", strings.Join(names, ", ")), "")
	}
}

func needsLegacy(err error) string {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return "CAP_NET_ADMIN"
	}
	return ""
}

// tableNames are the tables that there are; none where the kernel has no x_tables.
func tableNames(file string) ([]string, error) {
	b, err := os.ReadFile("/proc/thread-self/net/" + file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(b)), err
}

func readLegacy(domain, level int, fam *legacyFamily, names []string) (tables []snapshot.NfTable, err error) {
	// Any socket of the family will do; this one needs no right of its own.
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for _, name := range names {
		if len(name) >= 32 {
			err = errors.Join(err, fmt.Errorf("table %s: a name too long", name))
			continue
		}
		t, e := readLegacyTable(fd, level, fam, name)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("table %s: %w", name, e))
			continue
		}
		tables = append(tables, t)
	}
	return tables, resolveIPSets(tables, err)
}

// readLegacyTable asks how large the table is and then for all of it; one replaced in between has another size, and the
// kernel says EAGAIN.
func readLegacyTable(fd, level int, fam *legacyFamily, name string) (t snapshot.NfTable, err error) {
	for range 8 {
		info := make([]byte, xtInfoSize)
		copy(info, name)
		if err = getsockopt(fd, level, soGetInfo, info); err != nil {
			return t, err
		}
		i, _ := decodeLegacyInfo(info)
		if i.len > maxLegacyBytes {
			return t, fmt.Errorf("%d bytes of rules: more than are read", i.len)
		}
		b := make([]byte, xtHeadSize+int(i.len))
		copy(b, name)
		*(*uint32)(unsafe.Pointer(&b[32])) = i.len
		err = getsockopt(fd, level, soGetEntries, b)
		if errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return t, err
		}
		// One of the same size may have taken its place: then the offsets do not fit, or they did not change.
		again := make([]byte, xtInfoSize)
		copy(again, name)
		if err = getsockopt(fd, level, soGetInfo, again); err != nil {
			return t, err
		}
		if string(again) != string(info) {
			err = unix.EAGAIN
			continue
		}
		return decodeLegacy(fam, name, i, b[xtHeadSize:])
	}
	return t, fmt.Errorf("it changes faster than it can be read: %w", err)
}

func getsockopt(fd, level, opt int, b []byte) error {
	n := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
