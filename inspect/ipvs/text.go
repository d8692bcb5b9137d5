package ipvs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// headLines is how many lines of /proc/net/ip_vs come before the first service.
const headLines = 3

// hasService tells whether the beginning of /proc/net/ip_vs holds a service.
func hasService(b []byte) bool {
	for range headLines {
		_, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			return false
		}
		b = rest
	}
	return len(b) > 0
}

// parseConn reads a line of /proc/net/ip_vs_conn (net/netfilter/ipvs/ip_vs_conn.c):
//
//	Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
//	TCP 0A000102 D431 0A000101 0050 0A000105 1F90 ESTABLISHED     899
//
// IPv4 addresses and all ports are in hexadecimal.
func parseConn(line string) (c snapshot.IPVSConn, ok bool) {
	f := strings.Fields(line)
	if len(f) < 9 {
		return c, false
	}
	expires, err := strconv.ParseUint(f[8], 10, 32)
	if err != nil {
		return c, false
	}
	c.Protocol, c.State, c.Expires = strings.ToLower(f[0]), f[7], uint32(expires)
	for i, to := range []*netip.AddrPort{&c.Client, &c.Virtual, &c.Destination} {
		if *to, ok = hexAddrPort(f[1+2*i], f[2+2*i]); !ok {
			return snapshot.IPVSConn{}, false
		}
	}
	return c, true
}

func hexAddrPort(addr, port string) (netip.AddrPort, bool) {
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	if strings.Contains(addr, ":") {
		a, err := netip.ParseAddr(addr)
		return netip.AddrPortFrom(a, uint16(p)), err == nil && a.Zone() == ""
	}
	v, err := strconv.ParseUint(addr, 16, 32)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(v)))), uint16(p)), true
}

// readConns reads /proc/net/ip_vs_conn as [Conns] does.
func readConns(r io.Reader, limit int, match func(*snapshot.IPVSConn) bool) (out []snapshot.IPVSConn, truncated bool, err error) {
	out = []snapshot.IPVSConn{}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		c, ok := parseConn(sc.Text())
		if !ok || match != nil && !match(&c) {
			continue
		}
		if limit > 0 && len(out) == limit {
			return out, true, nil
		}
		out = append(out, c)
	}
	return out, false, sc.Err()
}
