package sockdiag

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// message builds struct inet_diag_msg of a listener on [::1]:8080 with a receive queue of 3.
func message() []byte {
	b := make([]byte, msgLen)
	b[0], b[1] = afInet6, 10
	binary.BigEndian.PutUint16(b[4:], 8080)
	b[8+15] = 1
	binary.NativeEndian.PutUint32(b[40:], 7)
	binary.NativeEndian.PutUint32(b[56:], 3)
	binary.NativeEndian.PutUint32(b[60:], 128)
	binary.NativeEndian.PutUint32(b[64:], 1000)
	binary.NativeEndian.PutUint32(b[68:], 4711)
	mem := make([]byte, 36)
	binary.NativeEndian.PutUint32(mem[32:], 5)
	b = nlwire.AppendAttr(b, attrSkmeminfo, mem)
	b = nlwire.AppendAttr(b, attrV6Only, []byte{1})
	return nlwire.AppendU32(b, attrMark, 0x77)
}

func TestDecode(t *testing.T) {
	var got snapshot.Socket
	if !decode(message(), "tcp", &got) {
		t.Fatal("not decoded")
	}
	want := snapshot.Socket{
		Proto: "tcp", Family: "inet6", State: "listen", Local: netip.MustParseAddrPort("[::1]:8080"), Ifindex: 7, RxQueue: 3, TxQueue: 128,
		UID: 1000, Inode: 4711, Drops: 5, V6Only: true, Mark: 0x77,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for n := range msgLen {
		if decode(message()[:n], "tcp", &got) {
			t.Fatalf("%d bytes were decoded", n)
		}
	}
}

const tcpText = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0200007F:C350 01 00000005:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 0 0 10 -1
`

const udp6Text = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 7514: 00000000000000000000000001000000:14E9 00000000000000000000000000000000:0000 07 00000000:00000900 00:00000000 00000000   101        0 99 2 0000000000000000 17
`

// TestText is for hosts whose words are little-endian, as all are that the text was recorded on.
func TestText(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("skip: needs a little-endian machine")
	}
	ap := netip.MustParseAddrPort
	var got []snapshot.Socket
	for _, in := range []struct{ text, proto, family string }{{tcpText, "tcp", "inet"}, {udp6Text, "udp", "inet6"}} {
		for l := range strings.Lines(in.text) {
			var s snapshot.Socket
			if decodeText([]byte(l), in.proto, in.family, &s) {
				got = append(got, s)
			}
		}
	}
	want := []snapshot.Socket{
		{Proto: "tcp", Family: "inet", State: "listen", Local: ap("127.0.0.1:8080"), RxQueue: 3, UID: 1000, Inode: 4711},
		{Proto: "tcp", Family: "inet", State: "established", Local: ap("127.0.0.1:8080"), Remote: ap("127.0.0.2:50000"), TxQueue: 5, Inode: 4712},
		{Proto: "udp", Family: "inet6", State: "unconnected", Local: ap("[::1]:5353"), RxQueue: 0x900, UID: 101, Inode: 99, Drops: 17},
	}
	if len(got) != len(want) {
		t.Fatalf("%d sockets: %+v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got  %+v\nwant %+v", got[i], want[i])
		}
	}
}

func TestCounts(t *testing.T) {
	const v4 = "sockets: used 13\nTCP: inuse 1 orphan 14 tw %d alloc 50 mem 70\nUDP: inuse 0 mem 0\nUDPLITE: inuse 0\nRAW: inuse 2\nFRAG: inuse 0 memory 0\n"
	const v6 = "TCP6: inuse 0\nUDP6: inuse 3\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n"
	if got, want := parseCounts([]byte(strings.Replace(v4, "%d", "0", 1)+v6)), (counts{tcp: true, raw: true, udp6: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	// Sockets in TIME-WAIT may be of either family.
	if got, want := parseCounts([]byte(strings.Replace(v4, "%d", "2", 1)+v6)), (counts{tcp: true, tcp6: true, raw: true, udp6: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func FuzzInetDiag(f *testing.F) {
	f.Add(message())
	f.Add(message()[:msgLen])
	f.Fuzz(func(t *testing.T, b []byte) {
		var s snapshot.Socket
		if decode(b, "tcp", &s) && (!s.Local.Addr().IsValid() || s.State == "") {
			t.Errorf("%+v", s)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add([]byte(tcpText))
	f.Add([]byte(udp6Text))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseCounts(b)
		for _, family := range []string{"inet", "inet6"} {
			var s snapshot.Socket
			if decodeText(b, "udp", family, &s) && !s.Local.Addr().IsValid() {
				t.Errorf("%+v", s)
			}
		}
	})
}
