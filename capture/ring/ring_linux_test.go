package ring

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

// got is a copy of a frame.
type got struct {
	Frame
	data []byte
}

// watch runs a poller over rings until the test ends.
func watch(t *testing.T, rings ...*Ring) (frames chan got, gone chan error) {
	t.Helper()
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rings {
		if err := p.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	frames, gone = make(chan got, 10000), make(chan error, 10)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- p.Wait(ctx, func(_ *Ring, f *Frame) { frames <- got{*f, bytes.Clone(f.Data)} }, func(_ *Ring, err error) { gone <- err }, func() bool { return false })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.Close()
	})
	return frames, gone
}

// wait takes the next frame that fits.
func wait(t *testing.T, frames chan got, fits func(*got) bool) got {
	t.Helper()
	end := time.After(10 * time.Second)
	for {
		select {
		case f := <-frames:
			if fits(&f) {
				return f
			}
		case <-end:
			t.Fatal("no such frame came")
		}
	}
}

// pair makes two links that are tied, and gives their indexes.
func pair(t *testing.T, h *nettest.Handle) (a, b int) {
	t.Helper()
	nettest.Run(t, h, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
	nettest.Run(t, h, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
	nettest.Run(t, h, "ip", "link", "set", "va", "up")
	nettest.Run(t, h, "ip", "link", "set", "vb", "up")
	if err := h.Do(func() error {
		for name, to := range map[string]*int{"va": &a, "vb": &b} {
			r := &Ring{}
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			req, _ := unix.NewIfreq(name)
			if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
				return err
			}
			*to = int(req.Uint32())
			r.fd = fd
			if r.LinkName(*to) != name {
				t.Errorf("%d is called %q", *to, r.LinkName(*to))
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	activated(t, h, a)
	return a, b
}

// sender sends raw frames on a link.
func sender(t *testing.T, h *nettest.Handle, ifindex int) func([]byte) {
	t.Helper()
	fd := -1
	if err := h.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(b []byte) {
		if err := unix.Sendto(fd, b, 0, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifindex, Halen: 6}); err != nil && !errors.Is(err, unix.ENOBUFS) {
			t.Fatal(err)
		}
	}
}

// activated waits until a link takes frames: from "up" until the kernel's link watch has been there, its queue is one that
// drops all without a word (noop_qdisc).
func activated(t *testing.T, h *nettest.Handle, ifindex int) {
	t.Helper()
	r := openIn(t, h, ifindex, Options{Bytes: 256 << 10})
	defer r.Close()
	send := sender(t, h, ifindex)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		send(frame(0x88b5))
		if packets, drops := r.Stats(); packets+drops > 0 {
			return
		}
	}
	t.Fatal("the link took no frame for 30 s")
}

func frame(typ uint16, body ...byte) []byte {
	b := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1}
	return append(binary.BigEndian.AppendUint16(b, typ), append(body, make([]byte, 50)...)...)
}

func openIn(t *testing.T, h *nettest.Handle, ifindex int, o Options) (r *Ring) {
	t.Helper()
	if err := h.Do(func() (err error) { r, err = Open(ifindex, o); return err }); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFramesDirectionsAndTags(t *testing.T) {
	h := nettest.New(t)
	a, b := pair(t, h)
	frames, _ := watch(t, openIn(t, h, 0, Options{}))
	send := sender(t, h, a)
	plain := frame(0x88b5, 1, 2, 3)
	tagged := append(append(bytes.Clone(plain[:12]), 0x81, 0, 0x60, 100), plain[12:]...)
	double := append(append(bytes.Clone(plain[:12]), 0x88, 0xa8, 0, 7, 0x81, 0, 0x60, 100), plain[12:]...)
	for _, want := range [][]byte{plain, tagged, double} {
		send(want)
		out := wait(t, frames, func(f *got) bool { return f.PktType == unix.PACKET_OUTGOING && f.Ifindex == a })
		in := wait(t, frames, func(f *got) bool { return f.PktType == unix.PACKET_BROADCAST && f.Ifindex == b })
		for _, f := range []got{out, in} {
			if !bytes.Equal(f.data, want) || f.Len != len(want) || f.Raw {
				t.Errorf("sent % x, seen % x of %d", want[:24], f.data[:min(24, len(f.data))], f.Len)
			}
			if d := time.Since(time.Unix(0, f.Nanos)); d < -time.Second || d > time.Minute {
				t.Errorf("stamped %v ago", d)
			}
		}
	}
}

func TestSnapLength(t *testing.T) {
	h := nettest.New(t)
	a, _ := pair(t, h)
	frames, _ := watch(t, openIn(t, h, a, Options{Program: []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 20}}}))
	want := frame(0x88b5, 9)
	sender(t, h, a)(want)
	f := wait(t, frames, func(f *got) bool { return true })
	if !bytes.Equal(f.data, want[:20]) || f.Len != len(want) {
		t.Errorf("% x of %d", f.data, f.Len)
	}
}

// TestDropsAreCounted: a ring that nobody reads fills up, and says how many it lost.
func TestDropsAreCounted(t *testing.T) {
	h := nettest.New(t)
	a, _ := pair(t, h)
	r := openIn(t, h, a, Options{Bytes: 256 << 10})
	defer r.Close()
	send := sender(t, h, a)
	const n = 4000
	big := append(frame(0x88b5), make([]byte, 1300)...)
	for range n {
		send(big)
	}
	packets, drops := r.Stats()
	if drops == 0 || packets+drops != n {
		t.Errorf("%d taken and %d dropped of %d", packets, drops, n)
	}
	seen, lost := 0, uint64(0)
	count := func(_ *Ring, f *Frame) { seen, lost = seen+1, lost+f.Lost }
	r.drain(count)
	if seen == 0 || uint64(seen) > packets {
		t.Errorf("%d seen of %d taken", seen, packets)
	}
	// There is room again: the first frame tells of those that were lost, once.
	for range 2 {
		send(big)
		for end := time.Now().Add(10 * time.Second); r.drain(count) == 0 && time.Now().Before(end); {
			time.Sleep(RetireMS * time.Millisecond)
		}
	}
	if lost != drops {
		t.Errorf("frames tell of %d lost, the kernel of %d", lost, drops)
	}
}

func TestLinkDownIsTold(t *testing.T) {
	h := nettest.New(t)
	a, _ := pair(t, h)
	frames, gone := watch(t, openIn(t, h, a, Options{}))
	sender(t, h, a)(frame(0x88b5))
	wait(t, frames, func(*got) bool { return true })
	nettest.Run(t, h, "ip", "link", "set", "va", "down")
	select {
	case err := <-gone:
		if !errors.Is(err, unix.ENETDOWN) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("not told")
	}
}

func TestManyRingsOneThread(t *testing.T) {
	const n = 40
	var rings []*Ring
	var sends []func([]byte)
	for range n {
		h := nettest.New(t)
		a, _ := pair(t, h)
		rings = append(rings, openIn(t, h, a, Options{Bytes: 256 << 10}))
		sends = append(sends, sender(t, h, a))
	}
	frames, _ := watch(t, rings...)
	for i, send := range sends {
		send(frame(0x88b5, byte(i)))
	}
	var seen [n]atomic.Bool
	for range n {
		f := wait(t, frames, func(f *got) bool { return true })
		if seen[f.data[14]].Swap(true) {
			t.Errorf("%d twice", f.data[14])
		}
	}
}

func TestNotPermitted(t *testing.T) {
	if unix.Geteuid() == 0 {
		t.Skip("skip: needs to be nobody, who runs it too")
	}
	if _, err := Open(0, Options{}); !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}
