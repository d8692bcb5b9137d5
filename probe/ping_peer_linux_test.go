package probe_test

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// echoPeer answers echo requests as a test wants it.
type echoPeer struct {
	mu    sync.Mutex
	reply func(req []byte) [][]byte
}

func (p *echoPeer) set(reply func([]byte) [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reply = reply
}

// responder answers ICMP echo requests to a namespace whose kernel does not.
func responder(t testing.TB, s *netlab.Space) *echoPeer {
	t.Helper()
	fd := -1
	must(t, s.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMP)
		return err
	}))
	f := os.NewFile(uintptr(fd), "responder")
	p := &echoPeer{}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 1<<16)
		raw, err := f.SyscallConn()
		if err != nil {
			return
		}
		for {
			var n int
			var from unix.Sockaddr
			if raw.Read(func(fd uintptr) bool {
				n, from, err = unix.Recvfrom(int(fd), buf, 0)
				return err != unix.EAGAIN
			}) != nil || err != nil {
				return
			}
			if n < 28 || buf[20] != 8 {
				continue
			}
			p.mu.Lock()
			reply := p.reply
			p.mu.Unlock()
			if reply == nil {
				continue
			}
			for _, b := range reply(append([]byte(nil), buf[20:n]...)) {
				if b = append([]byte(nil), b...); len(b) > 4 {
					b[0], b[2], b[3] = 0, 0, 0
					sum := checksum(b)
					b[2], b[3] = byte(sum>>8), byte(sum)
				}
				raw.Write(func(fd uintptr) bool { return unix.Sendto(int(fd), b, 0, from) != unix.EAGAIN })
			}
		}
	})
	t.Cleanup(func() {
		f.Close()
		wg.Wait()
	})
	return p
}

// checksum is RFC 1071's, written plainly.
func checksum(b []byte) uint16 {
	var sum uint32
	for i, x := range b {
		if i%2 == 0 {
			sum += uint32(x) << 8
		} else {
			sum += uint32(x)
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// selfFrom is the process's own namespace.
func selfFrom() (*probe.From, error) {
	h, err := netns.Self()
	return &probe.From{Name: "self", NS: h}, err
}

// openBinary copies the test program to where everybody may run it.
func openBinary(t testing.TB) string {
	t.Helper()
	dir, remove, err := nettest.ScratchDir()
	must(t, err)
	t.Cleanup(remove)
	self, err := os.Open("/proc/self/exe")
	must(t, err)
	defer self.Close()
	path := filepath.Join(dir, "probe.test")
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(out, self)
	must(t, err)
	must(t, out.Close())
	return path
}
