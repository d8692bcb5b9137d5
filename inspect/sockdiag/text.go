package sockdiag

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// decodeText decodes a line of /proc/net/tcp and its like (net/ipv4/tcp_ipv4.c, get_tcp4_sock):
//
//	sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ref pointer drops
//
// It is false for the heading and for what is not such a line. The last column is the drops for UDP and raw alone.
func decodeText(line []byte, proto, family string, s *snapshot.Socket) bool {
	var f [13][]byte
	n := 0
	for w := range bytes.FieldsSeq(line) {
		if n == len(f) {
			break
		}
		f[n] = w
		n++
	}
	if n < 10 {
		return false
	}
	local, ok1 := textAddr(f[1], family)
	rem, ok2 := textAddr(f[2], family)
	state, err := strconv.ParseUint(string(f[3]), 16, 8)
	tx, rx, ok3 := bytes.Cut(f[4], []byte(":"))
	if !ok1 || !ok2 || !ok3 || err != nil {
		return false
	}
	*s = snapshot.Socket{
		Proto: proto, Family: family, State: stateName(uint8(state)), Local: local, Remote: remote(rem),
		TxQueue: uint32(number(tx, 16)), RxQueue: uint32(number(rx, 16)),
		UID: uint32(number(f[7], 10)), Inode: number(f[9], 10),
	}
	if proto != "tcp" && n > 12 {
		s.Drops = uint32(number(f[12], 10))
	}
	return true
}

func number(b []byte, base int) uint64 {
	v, err := strconv.ParseUint(string(b), base, 64)
	if err != nil {
		return 0
	}
	return v
}

// textAddr reads "0100007F:1F90": words of the address as numbers in host byte order, a colon, the port.
func textAddr(b []byte, family string) (netip.AddrPort, bool) {
	h, p, ok := bytes.Cut(b, []byte(":"))
	var raw [16]byte
	if !ok || len(h) > 2*len(raw) || family == "inet" && len(h) != 8 || family == "inet6" && len(h) != 32 {
		return netip.AddrPort{}, false
	}
	n, err := hex.Decode(raw[:], h)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for i := 0; i < n; i += 4 {
		// Hex of a number is written from its most significant byte on.
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	port, err := strconv.ParseUint(string(p), 16, 16)
	return netip.AddrPortFrom(nlwire.Addr(raw[:n]), uint16(port)), err == nil
}

// counts tells what a namespace has of each table, from /proc/net/sockstat and sockstat6.
type counts struct {
	tcp, udp, raw, tcp6, udp6, raw6 bool
}

// parseCounts reads both files, one after the other. IPv6 sockets in TIME-WAIT are counted with those of IPv4.
func parseCounts(b []byte) (c counts) {
	for line := range bytes.Lines(b) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		inuse, tw := uint64(0), uint64(0)
		var last string
		for w := range bytes.FieldsSeq(rest) {
			switch last {
			case "inuse":
				inuse = number(w, 10)
			case "tw":
				tw = number(w, 10)
			}
			last = string(w)
		}
		switch string(name) {
		case "TCP":
			c.tcp = inuse > 0 || tw > 0
			c.tcp6 = c.tcp6 || tw > 0
		case "TCP6":
			c.tcp6 = c.tcp6 || inuse > 0
		case "UDP":
			c.udp = inuse > 0
		case "UDP6":
			c.udp6 = inuse > 0
		case "RAW":
			c.raw = inuse > 0
		case "RAW6":
			c.raw6 = inuse > 0
		}
	}
	return c
}
