package nlwire

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDump(t *testing.T) {
	s, err := Open(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 { // more than once on one socket
		n := 0
		if err := s.Do(NewRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfInfomsg)), func(m Message) { n++ }); err != nil || n == 0 {
			t.Errorf("%d links, %v", n, err)
		}
	}
	wrong := make([]byte, unix.SizeofIfInfomsg)
	wrong[12] = 1 // strict checking wants ifi_change to be zero, and says so
	err = s.Do(NewRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, wrong), func(Message) { t.Error("an answer to what is no question") })
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, unix.EINVAL) || e.Text == "" {
		t.Errorf("%v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

// TestInterrupted gives the socket what a kernel sends of a dump that changed meanwhile.
func TestInterrupted(t *testing.T) {
	s := &Socket{seq: 5}
	b := append(answer(16, flagMulti, 4, nil), answer(16, flagMulti|flagDumpIntr, 5, []byte{1, 2, 3, 4})...)
	n := 0
	done, intr, err := s.deliver(append(b, answer(typeDone, flagMulti, 5, errno(0))...), func(m Message) { n++ })
	if !done || !intr || err != nil || n != 1 {
		t.Errorf("%v %v %v, %d messages", done, intr, err, n)
	}
}

// TestOnlyTheKernel proves that another process cannot slip in an answer.
func TestOnlyTheKernel(t *testing.T) {
	s, err := Open(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		t.Fatal(err)
	}
	other, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	err = unix.Sendto(other, answer(16, 0, 1, make([]byte, 16)), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: sa.(*unix.SockaddrNetlink).Pid})
	if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.EPERM) {
		t.Errorf("sending to a reader's socket: %v", err)
	}
}
