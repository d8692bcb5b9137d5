package netfilter

import (
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Of include/uapi/linux/netfilter/ipset/ip_set.h: names of sets are asked for with getsockopt.
const (
	soIPSet           = 83
	ipsetOpVersion    = 0x100
	ipsetOpGetByIndex = 7
	ipsetNameLen      = 32
)

// resolveIPSets gives the ipsets of all rules, which a rule has by number, their names, asking in the calling thread's
// network namespace. It returns before with what failed added.
func resolveIPSets(tables []snapshot.NfTable, before error) error {
	r := &ipsets{fd: -1, names: map[string]string{}}
	defer r.close()
	var err error
	each := func(opts map[string]string, index, name string) {
		n, ok := opts[index]
		if !ok || opts[name] != "" {
			return
		}
		s, e := r.name(n)
		if e != nil {
			err = e
			return
		}
		opts[name] = s
	}
	for i := range tables {
		for c := range tables[i].Chains {
			for _, rule := range tables[i].Chains[c].Rules {
				for _, x := range rule.Exprs {
					for _, m := range x.Matches {
						if m.Left.Kind == "xt" && m.Left.Key == "ipset" {
							each(m.Left.Opts, ipsetIndex, ipsetName)
						}
					}
					if x.Action != nil && x.Action.Name == "set" {
						for _, what := range []string{"add", "del", "map"} {
							each(x.Action.Opts, what+"-"+ipsetIndex, what+"-"+ipsetName)
						}
					}
				}
			}
		}
	}
	if err != nil {
		err = fmt.Errorf("names of ipsets: %w", err)
	}
	return errors.Join(before, err)
}

type ipsets struct {
	fd      int
	version uint32
	names   map[string]string
}

func (r *ipsets) close() {
	if r.fd >= 0 {
		unix.Close(r.fd)
	}
}

// name is the name of the set of a number: struct ip_set_req_version, struct ip_set_req_get_set.
func (r *ipsets) name(index string) (string, error) {
	if s, ok := r.names[index]; ok {
		return s, nil
	}
	n, err := strconv.ParseUint(index, 10, 16)
	if err != nil {
		return "", err
	}
	if r.fd < 0 {
		// The kernel hears this option on a raw socket only.
		if r.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
			return "", err
		}
		req := make([]byte, 8)
		*(*uint32)(unsafe.Pointer(&req[0])) = ipsetOpVersion
		if err := getsockopt(r.fd, unix.SOL_IP, soIPSet, req); err != nil {
			return "", err
		}
		r.version = nlwire.U32(req[4:])
	}
	req := make([]byte, 8+ipsetNameLen)
	*(*uint32)(unsafe.Pointer(&req[0])) = ipsetOpGetByIndex
	*(*uint32)(unsafe.Pointer(&req[4])) = r.version
	*(*uint16)(unsafe.Pointer(&req[8])) = uint16(n)
	if err := getsockopt(r.fd, unix.SOL_IP, soIPSet, req); err != nil {
		return "", err
	}
	s := string(nlwire.CStr(req[8:]))
	r.names[index] = s
	return s, nil
}
