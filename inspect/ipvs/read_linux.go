package ipvs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

const procNet = "/proc/thread-self/net/"

// Present tells whether this kernel has IPVS now: built in, or as a loaded module.
func Present() bool {
	_, err := os.Stat(procNet + "ip_vs")
	return err == nil
}

// Read reads the load balancer of the calling thread's network namespace: nil where it has no service, or the kernel no
// IPVS. It needs CAP_NET_ADMIN in the initial user namespace; without it the error wraps fs.ErrPermission.
func Read() (*snapshot.IPVS, error) {
	used, err := used()
	if !used || err != nil {
		return nil, err
	}
	s, err := nlwire.Open(unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("ipvs: %w", err)
	}
	defer s.Close()
	id, err := family(s)
	if err != nil {
		return nil, fmt.Errorf("ipvs: generic netlink family: %w", err)
	}
	out := &snapshot.IPVS{}
	services, err := services(s, id)
	if err != nil {
		return nil, fmt.Errorf("ipvs: services: %w", err)
	}
	for i := range services {
		out.Services = append(out.Services, services[i].IPVSService)
	}
	err = errors.Join(
		s.Do(request(id, cmdGetConfig, 0), func(m nlwire.Message) { out.Timeouts = decodeConfig(m.Data) }),
		s.Do(request(id, cmdGetInfo, 0), func(m nlwire.Message) { out.Version, out.Size = decodeInfo(m.Data) }),
	)
	if err != nil {
		err = fmt.Errorf("ipvs: timeouts and version: %w", err)
	}
	return out, err
}

// used tells whether the namespace has a service, by the beginning of the file that lists them.
func used() (bool, error) {
	fd, err := unix.Open(procNet+"ip_vs", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "open", Path: procNet + "ip_vs", Err: err}
	}
	defer unix.Close(fd)
	// The kernel gives as many whole lines as fit: more than the head, where there are more.
	var buf [512]byte
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return false, &fs.PathError{Op: "read", Path: procNet + "ip_vs", Err: err}
	}
	return hasService(buf[:n]), nil
}

func family(s *nlwire.Socket) (id uint16, err error) {
	req := nlwire.AppendAttr(request(genlCtrl, ctrlGetFamily, 0), ctrlFamilyName, []byte("IPVS\x00"))
	err = s.Do(req, func(m nlwire.Message) {
		for a := nlwire.WalkAfter(m.Data, genlHeaderLen); a.Next(); {
			if a.Type == ctrlFamilyID {
				id = nlwire.U16(a.Val)
			}
		}
	})
	if err == nil && id == 0 {
		err = errors.New("no id in the answer")
	}
	return id, err
}

// services reads all of them with their destinations. One that is deleted meanwhile has none.
func services(s *nlwire.Socket, id uint16) ([]service, error) {
	var out []service
	err := s.Do(request(id, cmdGetService, unix.NLM_F_DUMP), func(m nlwire.Message) {
		var v service
		if decodeService(m.Data, &v) {
			out = append(out, v)
		}
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		v := &out[i]
		err := s.Do(v.key(request(id, cmdGetDest, unix.NLM_F_DUMP)), func(m nlwire.Message) {
			var d snapshot.IPVSDestination
			if decodeDest(m.Data, v.af, &d) {
				v.Destinations = append(v.Destinations, d)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("destinations: %w", err)
		}
	}
	return out, nil
}

// Conns reads the table of connections of the calling thread's network namespace (/proc/net/ip_vs_conn): those that match, at
// most limit of them (0 or less: no limit), in the kernel's order; truncated tells that there were more. Where the kernel has
// no IPVS there are none. The whole table is walked until limit is reached.
func Conns(limit int, match func(*snapshot.IPVSConn) bool) (out []snapshot.IPVSConn, truncated bool, err error) {
	f, err := os.Open(procNet + "ip_vs_conn")
	if errors.Is(err, fs.ErrNotExist) {
		return []snapshot.IPVSConn{}, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	return readConns(f, limit, match)
}
