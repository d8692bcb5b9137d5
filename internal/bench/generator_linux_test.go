package bench

import (
	"net"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
)

// generator sends frames by a veth, past its queue, from a thread of its own.
type generator struct {
	fd     int
	frames [][]byte
}

// liveLen is how long a frame is, with VXLAN, IPv4 and TCP in it.
const liveLen = 128

// newGenerator sends by a link in a namespace.
func newGenerator(b *testing.B, h *netns.Handle, link string) *generator {
	g := &generator{}
	ifindex := 0
	err := h.Do(func() (err error) {
		l, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		ifindex = l.Index
		g.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Close(g.fd) })
	if err := unix.SetsockoptInt(g.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		b.Fatal(err)
	}
	if err := unix.Bind(g.fd, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
		b.Fatal(err)
	}
	t := newTraffic()
	for len(g.frames) < 4096 {
		g.frames = append(g.frames, append([]byte(nil), t.make(len(g.frames), 0, liveLen-outerLen-etherLen-ipLen-tcpLen)...))
	}
	return g
}

// burst is how many frames go with one system call.
const burst = 32

// send sends n frames at a rate, pinned to a processor.
func (g *generator) send(b *testing.B, n, rate, processor int) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread goes with the goroutine, and its affinity with it
		done <- g.loop(n, rate, processor)
	}()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func (g *generator) loop(n, rate, processor int) error {
	var set unix.CPUSet
	set.Set(processor)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	type message struct { // struct mmsghdr
		hdr unix.Msghdr
		len uint32
		_   [4]byte
	}
	var vectors [burst]unix.Iovec
	var messages [burst]message
	for i := range messages {
		messages[i].hdr.Iov = &vectors[i]
		messages[i].hdr.SetIovlen(1)
	}
	start := time.Now()
	for sent := 0; sent < n; {
		due := int(time.Since(start).Seconds() * float64(rate))
		if due-sent < burst {
			unix.Nanosleep(&unix.Timespec{Nsec: 50_000}, nil)
			continue
		}
		if late := due - sent - 4096; late > 0 {
			start = start.Add(time.Duration(late) * time.Second / time.Duration(rate)) // it was kept from running: no flood after that
		}
		for i := range vectors {
			f := g.frames[(sent+i)%len(g.frames)]
			vectors[i].Base = &f[0]
			vectors[i].SetLen(len(f))
		}
		got, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(g.fd), uintptr(unsafe.Pointer(&messages[0])), burst, 0, 0, 0)
		if errno != 0 && errno != unix.ENOBUFS && errno != unix.EINTR {
			return errno
		}
		if errno == 0 {
			sent += int(got)
		}
	}
	return nil
}
