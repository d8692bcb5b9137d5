package nettest

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Types of BPF programs (enum bpf_prog_type).
const (
	BPFSchedCls       = 3
	BPFXDP            = 6
	BPFCgroupSkb      = 8
	BPFCgroupSockAddr = 18
	BPFSkLookup       = 30
)

// LoadBPF loads a program that returns result and does nothing else; the test's end closes its descriptor. attach is the place that
// it is meant for (enum bpf_attach_type), which some types are checked for.
func LoadBPF(tb testing.TB, typ, attach uint32, name string, result int32) int {
	tb.Helper()
	insns := []uint64{0xb7 | uint64(uint32(result))<<32, 0x95} // r0 = result; exit
	license := [4]byte{'G', 'P', 'L'}
	attr := struct {
		typ, insnCount      uint32
		insns, license      uint64
		logLevel, logSize   uint32
		log                 uint64
		kernVersion, flags  uint32
		name                [16]byte
		ifindex, attachType uint32
	}{typ: typ, insnCount: uint32(len(insns)), attachType: attach,
		insns: uint64(uintptr(unsafe.Pointer(&insns[0]))), license: uint64(uintptr(unsafe.Pointer(&license)))}
	copy(attr.name[:15], name)
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		tb.Fatalf("load BPF program %s: %v", name, errno)
	}
	tb.Cleanup(func() { unix.Close(int(fd)) })
	return int(fd)
}

// AttachBPF attaches a program by a link, which the test's end takes away; target is a descriptor, or the ifindex of a link in the
// namespace of the calling thread.
func AttachBPF(tb testing.TB, prog, target int, attach, flags uint32) error {
	tb.Helper()
	// union bpf_attr is longer where the kernel knows more of it; the rest counts as zero.
	attr := make([]byte, 48)
	for i, v := range []uint32{uint32(prog), uint32(target), attach, flags} {
		binary.NativeEndian.PutUint32(attr[4*i:], v)
	}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_CREATE, uintptr(unsafe.Pointer(&attr[0])), uintptr(len(attr)))
	if errno != 0 {
		return errno
	}
	tb.Cleanup(func() { unix.Close(int(fd)) })
	return nil
}
