package ring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Options of a ring. The zero value is right for a few rings.
type Options struct {
	// Bytes is the ring's size, rounded to blocks; 0 for 8 MiB. A block must hold a frame of segmentation offload, 64 KiB.
	Bytes int
	// Program is run on each frame before it is copied: what it returns is how much is kept. nil: all of all.
	Program []unix.SockFilter
}

// RetireMS is when a block that is not full is handed over, in milliseconds: what a reader waits at most.
const RetireMS = 40

// Block sizes.
const (
	largeBlock = 1 << 20
	smallBlock = 1 << 17
	defRing    = 8 << 20
	tagLen     = 4
)

// Frame is one frame in the ring.
type Frame struct {
	// Data are the captured bytes, Len how many there were: with the tags put back.
	Data []byte
	Len  int
	// Nanos is the time since 1970.
	Nanos   int64
	Ifindex int
	// HwType is the link's ARPHRD_ type; Raw tells that Data begins with the IP header.
	HwType uint16
	Raw    bool
	// PktType is PACKET_HOST, _BROADCAST, _MULTICAST, _OTHERHOST, _OUTGOING.
	PktType uint8
	// NoSum: the transport's checksum is still to be filled in (CHECKSUM_PARTIAL).
	NoSum bool
	// Lost is how many frames the ring had no room for since the frame before this one.
	Lost uint64
}

// Ring is one socket with its ring.
type Ring struct {
	// Tag is the owner's.
	Tag any

	fd        int
	mem       []byte
	blockSize int
	blocks    int
	at        int
	packets   uint64
	drops     uint64
	told      uint64 // of the drops, those that a frame has as Lost
	frame     Frame
}

// Open opens a ring in the calling thread's network namespace, on one link or (0) on all of them. It needs CAP_NET_RAW there.
func Open(ifindex int, o Options) (_ *Ring, err error) {
	// Protocol 0: nothing comes before all is set.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	r := &Ring{fd: fd}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return nil, fmt.Errorf("packet ring (Linux 3.2): %w", err)
	}
	// Room before each frame, to put a tag back without moving the frame.
	if err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_RESERVE, tagLen); err != nil {
		return nil, fmt.Errorf("packet ring: %w", err)
	}
	if err = r.SetProgram(o.Program); err != nil {
		return nil, err
	}
	if err = r.allocate(o.Bytes); err != nil {
		return nil, err
	}
	sa := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifindex}
	if err = unix.Bind(fd, sa); err != nil {
		return nil, fmt.Errorf("bind packet socket: %w", err)
	}
	return r, nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// SetProgram has another program run from now on, nil for none.
func (r *Ring) SetProgram(prog []unix.SockFilter) error {
	if len(prog) == 0 {
		if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("detach the packet filter: %w", err)
		}
		return nil
	}
	if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}); err != nil {
		return fmt.Errorf("attach the packet filter: %w", err)
	}
	return nil
}

func (r *Ring) allocate(size int) error {
	if size <= 0 {
		size = defRing
	}
	r.blockSize = largeBlock
	if size < 4*largeBlock {
		r.blockSize = smallBlock
	}
	r.blocks = max(size/r.blockSize, 2)
	for {
		req := unix.TpacketReq3{Block_size: uint32(r.blockSize), Block_nr: uint32(r.blocks), Frame_size: 2048, Frame_nr: uint32(r.blockSize / 2048 * r.blocks), Retire_blk_tov: RetireMS}
		err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.ENOMEM) || r.blocks == 2 {
			return fmt.Errorf("packet ring of %d bytes: %w", r.blockSize*r.blocks, err)
		}
		r.blocks = max(r.blocks/2, 2)
	}
	mem, err := unix.Mmap(r.fd, 0, r.blockSize*r.blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map packet ring: %w", err)
	}
	r.mem = mem
	return nil
}

// Close closes the socket and lets go of the namespace.
func (r *Ring) Close() error {
	if r.mem != nil {
		_ = unix.Munmap(r.mem)
		r.mem = nil
	}
	if r.fd < 0 {
		return nil
	}
	err := unix.Close(r.fd)
	r.fd = -1
	return err
}

// ifreq is struct ifreq, with what its union has for an index or flags.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	val  int32
	_    [20]byte
}

func (r *Ring) ioctl(req uintptr, arg *ifreq) bool {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(r.fd), req, uintptr(unsafe.Pointer(arg)))
	return errno == 0
}

// LinkName asks the kernel for the name of a link in the ring's namespace (SIOCGIFNAME), "" where there is none.
func (r *Ring) LinkName(ifindex int) string {
	q := ifreq{val: int32(ifindex)}
	if !r.ioctl(unix.SIOCGIFNAME, &q) {
		return ""
	}
	return unix.ByteSliceToString(q.name[:])
}

// LinkState is a link's name, "" for none, and whether it is up (SIOCGIFFLAGS).
func (r *Ring) LinkState(ifindex int) (name string, up bool) {
	q := ifreq{val: int32(ifindex)}
	if !r.ioctl(unix.SIOCGIFNAME, &q) {
		return "", false
	}
	name = unix.ByteSliceToString(q.name[:])
	return name, r.ioctl(unix.SIOCGIFFLAGS, &q) && q.flags()&unix.IFF_UP != 0
}

// flags are a short at the beginning of the union.
func (q *ifreq) flags() uint16 { return *(*uint16)(unsafe.Pointer(&q.val)) }

// Stats are the packets that the ring took and those that it had no room for, since it was opened.
func (r *Ring) Stats() (packets, drops uint64) {
	if r.fd >= 0 {
		// The kernel counts from the last question on; tp_packets includes the dropped.
		if s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			r.packets += uint64(s.Packets) - uint64(s.Drops)
			r.drops += uint64(s.Drops)
		}
	}
	return r.packets, r.drops
}

// Offsets in struct tpacket_block_desc (with hdr_v1) and struct tpacket3_hdr, and sizes.
const (
	blkStatus = 8
	blkCount  = 12
	blkFirst  = 16

	hdrSize = 48 // TPACKET_ALIGN(sizeof(struct tpacket3_hdr)); then struct sockaddr_ll
)

// Bits of tp_status.
const (
	statusUser     = 1
	statusLosing   = 1 << 2
	statusNoSum    = 1 << 3
	statusVLAN     = 1 << 4
	statusVLANTPID = 1 << 6
)

// drain gives all frames of blocks that are ready to fn, and says how many there were.
func (r *Ring) drain(fn func(*Ring, *Frame)) (n int) {
	for range r.blocks { // no longer than once around: other rings wait
		base := r.at * r.blockSize
		block := r.mem[base : base+r.blockSize]
		status := (*uint32)(unsafe.Pointer(&block[blkStatus]))
		bits := atomic.LoadUint32(status)
		if bits&statusUser == 0 {
			return n
		}
		// The mark stands on blocks that were closed after frames had been dropped, which happens while no block is free: before the first
		// of these blocks was begun. It is there until somebody asks how many.
		if bits&statusLosing != 0 {
			r.Stats()
		}
		r.frame.Lost, r.told = r.drops-r.told, r.drops
		count := *(*uint32)(unsafe.Pointer(&block[blkCount]))
		off := *(*uint32)(unsafe.Pointer(&block[blkFirst]))
		for range count {
			h := block[off:]
			r.parse(h)
			fn(r, &r.frame)
			r.frame.Lost = 0
			if r.mem == nil {
				return n // closed by the callback
			}
			n++
			off += *(*uint32)(unsafe.Pointer(&h[0]))
		}
		atomic.StoreUint32(status, 0) // TP_STATUS_KERNEL
		r.at = (r.at + 1) % r.blocks
	}
	return n
}

func (r *Ring) parse(h []byte) {
	u32 := func(at int) uint32 { return *(*uint32)(unsafe.Pointer(&h[at])) }
	u16 := func(at int) uint16 { return *(*uint16)(unsafe.Pointer(&h[at])) }
	f := &r.frame
	f.Nanos = int64(u32(4))*1e9 + int64(u32(8))
	caplen, wire, status := int(u32(12)), int(u32(16)), u32(20)
	mac, net := int(u16(24)), int(u16(26))
	ll := h[hdrSize:]
	f.Ifindex = int(*(*int32)(unsafe.Pointer(&ll[4])))
	f.HwType = *(*uint16)(unsafe.Pointer(&ll[8]))
	f.PktType = ll[10]
	f.NoSum = status&statusNoSum != 0
	f.Raw = f.HwType != unix.ARPHRD_ETHER && f.HwType != unix.ARPHRD_LOOPBACK
	if f.Raw {
		// A tunnel's own header, where the device has one, is not what its link type says.
		skip := max(net-mac, 0)
		f.Data, f.Len = h[mac+min(skip, caplen):mac+caplen:mac+caplen], wire-skip
		return
	}
	f.Data, f.Len = h[mac:mac+caplen:mac+caplen], wire
	if status&statusVLAN == 0 || caplen < 12 || mac < hdrSize+20+tagLen {
		return
	}
	// The addresses move to the front by four bytes, into the reserved room.
	tagged := h[mac-tagLen : mac+caplen : mac+caplen]
	copy(tagged, tagged[tagLen:tagLen+12])
	tpid := uint16(unix.ETH_P_8021Q)
	if status&statusVLANTPID != 0 {
		tpid = u16(36)
	}
	tci := u32(32)
	tagged[12], tagged[13], tagged[14], tagged[15] = byte(tpid>>8), byte(tpid), byte(tci>>8), byte(tci)
	f.Data, f.Len = tagged, wire+tagLen
}
