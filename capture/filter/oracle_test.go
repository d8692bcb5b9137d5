package filter

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
)

// expressions are compared with libpcap's programs.
var expressions = []string{
	"", "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "ah", "esp", "pim", "vrrp", "igrp", "carp",
	"host 10.0.1.2", "src 10.0.1.2", "dst 10.0.1.2", "src host 10.0.1.2", "dst host 10.0.1.3", "src or dst host 10.0.1.2",
	"src and dst host 10.0.1.2", "src and dst 10.0.1.2", "src or dst 10.99.0.1", "host 10.0.1.2 and host 10.0.1.3", "host 10.0.1.2 or 10.0.1.3", "ip host 10.0.1.2", "arp host 10.0.1.2",
	"rarp host 10.0.1.2", "arp src host 10.0.1.2", "arp dst 10.0.1.3", "ip src 10.0.1.2 and ip dst 10.0.1.3", "not host 10.0.1.2", "! host 10.0.1.2",
	"not host 10.0.1.2 and 10.0.1.3", "not (host 10.0.1.2 or 10.0.1.3)", "host (10.0.1.2 or 10.0.2.2)", "host (10.0.1.2 and 10.0.1.3)", "src host (10.0.1.2 or 10.99.0.1)",
	"net 10", "net 10.0", "net 10.0.1", "net 10.0.0.0/8", "net 10.0.1.0/24", "src net 10.0.1.0/24", "dst net 10.0.0.0 mask 255.255.0.0", "net 192.168.1.77/32",
	"net 0.0.0.0/0", "ip net 10.99", "arp net 10", "net 224.0.0.0/4", "not net 10", "src net 10 and dst net 192.168",
	"host fd00::2", "src host fd00::2", "dst fd00::3", "ip6 host fe80::42:aff:fe00:2", "net fd00::/8", "src net fe80::/10", "net ff00::/8", "dst net 2001:db8::/32", "net ::/0",
	"ip6 src fd00::2 or ip6 dst fd00::3", "host fd00::2 and not host fd00::3", "src and dst net fd00::/64",
	"port 80", "port 53", "tcp port 80", "udp port 53", "sctp port 80", "src port 80", "dst port 80", "tcp src port 443", "tcp dst port 443", "src or dst port 22",
	"src and dst port 80", "port http", "tcp port https", "udp port domain", "port (80 or 443)", "port 80 or 443", "tcp port (80 or 443 or 8080)", "not port 80", "not tcp port 22",
	"portrange 1-1024", "portrange 80-443", "tcp portrange 1024-65535", "src portrange 1-100", "udp dst portrange 50-60", "portrange 443-80", "portrange 80", "portrange 80-80",
	"tcp port 80 and host 10.0.1.2", "tcp and port 80", "host 10.0.1.2 and (port 80 or port 443)", "host 10.0.1.2 and not port 22", "tcp port 80 or udp port 53 and host 10.0.1.2",
	"tcp or udp and ip6", "ip or ip6 or arp",
	"ether host 02:42:0a:00:00:02", "ether src 2:42:a:0:0:2", "ether dst 02-42-0a-00-00-03", "ether host 0242.0a00.0102", "ether src or dst aa:bb:cc:00:00:01", "ether src and dst aa:bb:cc:00:00:01",
	"ether broadcast", "broadcast", "ether multicast", "multicast", "not broadcast and not multicast", "ip multicast", "ip6 multicast",
	"ether proto 0x800", "ether proto 0x88cc", `ether proto \ip`, `ether proto \arp`, `ether proto \ip6`, "ip proto 6", `ip proto \tcp`, `ip6 proto \udp`, "ip6 proto 58", "proto 17", `proto \sctp`, "ip proto 253", "proto 6 and port 80",
	"vlan", "vlan 100", "vlan 4094", "not vlan", "vlan and ip", "vlan 100 and tcp port 80", "vlan and vlan 100", "vlan 1 and vlan 100 and ip", "(vlan 100) and host 10.0.1.2", "vlan 100 or vlan 1",
	"ip or vlan and ip", "(ip or (vlan and ip)) and tcp", "vlan and not ip", "vlan and arp host 10.0.1.2", "vlan and ip6 host fd00::2", "vlan 100 && tcp[13] = 2", "vlan and portrange 1-1024",
	"mpls", "mpls 1000", "mpls 1024", "mpls and ip", "mpls and host 10.0.1.2", "mpls 16 and tcp port 80", "mpls and mpls 1000", "mpls and ip6", "vlan and mpls", "not mpls",
	"less 100", "greater 100", "len > 100", "len <= 64", "len = 60", "less 80 or greater 200", "len - 14 > 100", "len & 1 = 0", "100 < len",
	"ip[0] & 0xf != 5", "ip[8] < 10", "ip[6:2] & 0x1fff != 0", "ip[6] & 0x20 != 0", "ip[2:2] > 100", "ip[9] = 6", "ip[12:4] = 0x0a000102", "ip[0] = 0x45", "ip[1] & 0xfc >> 2 = 56",
	"tcp[13] & 2 != 0", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[tcpflags] == tcp-syn", "tcp[tcpflags] & tcp-rst != 0", "tcp[tcpflags] & (tcp-syn|tcp-ack) = (tcp-syn|tcp-ack)",
	"tcp[0:2] = 80", "tcp[2:2] > 1024", "tcp[(tcp[12] >> 4) * 4 : 4] = 0x47455420", "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420", "tcp[12] & 0xf0 > 0x50",
	"udp[4:2] < 20", "udp[8] = 0", "udp[0:2] = udp[2:2]", "icmp[icmptype] = icmp-echo", "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply", "icmp[0] = 3 and icmp[1] = 1",
	"icmp6[icmp6type] = icmp6-echo", "icmp6[0] = 135", "icmp6[icmp6type] == icmp6-neighborsolicit or icmp6[icmp6type] == icmp6-neighboradvert", "ip6[6] = 17", "ip6[40] = 58", "ip6[4:2] > 64", "ip6[0] & 0xf0 = 0x60",
	"ether[0] & 1 = 0 and ip[16] >= 224", "ether[12:2] = 0x88cc", "ether[6:4] = 0x02420a00", "ether[20] = 2", "arp[6:2] = 1", "arp[7] = 2", "rarp[7] = 3", "sctp[0:2] = 80", "igmp[0] > 0x11", "link[0] = 2",
	"ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0", "tcp[tcpflags] & tcp-push != 0 and ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) > 10",
	"ip[8] + ip[9] = 70", "ip[8] * 2 > 64", "ip[8] % 2 = 1", "ip[8] / 2 = 5", "ip[8] ^ 1 = 2", "ip[8] | 1 = 3", "ip[8] << 1 >= 32", "ip[8] >> 1 < 4", "-ip[8] > 4294967250", "1 + 2 * 3 = 7", "6 / 2 - 1 = 2", "2 + 3 & 1 = 1", "1 | 2 ^ 2 = 1", "7 & 3 | 8 = 11",
	"ip[ip[0] & 0xf] = 0", "ip[20 + 2 * 3] = 0", "ether[len - 1] = 0", "ip[1000] = 0", "not ip[1000] = 0", "ip[0-1] = 8", "ip[len] = 0 or tcp", "10 / ip[1] = 1",
	"tcp[0] = 0 or ip6", "(tcp[0] = 0) or (udp[0] = 0)", "tcp[2:2] = 80 and not tcp[0:2] = 80", "ip[0] = 0x45 && tcp", "(((ip)))", "not not ip", "not (tcp or not udp)", "tcp or (udp and (port 53 or port 80))",
	"ip and (tcp[13] = 2 or icmp)", "host 10.0.1.2 && !(tcp || arp)", "src 10.0.1.2 and dst 10.0.1.3 and tcp dst port 5432", "dst port 80 or 443 or 8080", "src net 10 or 192.168", "tcp src port 22 or 80", "ip proto 6 or 17",
	"host 10.0.1.2 and not arp", "udp port 53 and udp[10] & 0x80 = 0", "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)", "portrange 1-1024 and not (port 22 or 53)",
}

// program is what `tcpdump -ddd` makes of an expression; ok is false where libpcap refuses.
func program(t *testing.T, optimize bool, expr string) (prog []instruction, ok bool) {
	t.Helper()
	args := []string{"-y", "EN10MB", "-s", "262144", "-ddd", "--", expr}
	if !optimize {
		args = append([]string{"-O"}, args...)
	}
	out, err := exec.Command("tcpdump", args...).Output()
	if err != nil {
		return nil, false
	}
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Scan()
	for s.Scan() {
		var i instruction
		if _, err := fmt.Sscan(s.Text(), &i.op, &i.jt, &i.jf, &i.k); err != nil {
			t.Fatal(err)
		}
		prog = append(prog, i)
	}
	return prog, true
}

func TestSameAsLibpcap(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("skip: needs tcpdump")
	}
	g := corpus.New(1)
	frames := g.Frames(6000, 20)
	for range 15 {
		frames = append(frames, corpus.Truncations(g.Ether(0))...)
	}
	pkts := make([]packet.Packet, len(frames))
	var d packet.Decoder
	for i, f := range frames {
		d.Decode(&pkts[i], f.Data, f.WireLen, packet.Ethernet)
	}
	for _, expr := range expressions {
		plain, ok := program(t, false, expr)
		best, _ := program(t, true, expr)
		f, err := Parse(expr, nil)
		switch {
		case !ok && err == nil:
			t.Errorf("%q: libpcap refuses it", expr)
			continue
		case ok && err != nil:
			t.Errorf("%q: %v", expr, err)
			continue
		case !ok:
			continue
		}
		hits, wrong := 0, 0
		for i := range pkts {
			a := run(plain, frames[i].Data, frames[i].WireLen)
			b := a
			if best != nil {
				// Of a packet that is cut off, the optimized program may need less, or ask for what is missing first. Both are libpcap's.
				b = run(best, frames[i].Data, frames[i].WireLen)
			}
			if a != b && len(frames[i].Data) == frames[i].WireLen && !strings.Contains(expr, "[") {
				t.Errorf("%q: libpcap's two programs differ", expr)
			}
			got := f.Match(&pkts[i], Meta{})
			if a || b {
				hits++
			}
			if got != a && got != b {
				if wrong++; wrong == 1 {
					t.Errorf("%q: %v, libpcap %v: % x", expr, got, a, frames[i].Data)
				}
			}
		}
		if wrong > 0 {
			t.Errorf("%q: %d of %d wrong", expr, wrong, len(pkts))
		}
		if hits == 0 && !never[expr] {
			t.Errorf("%q matches nothing of the corpus: it proves nothing", expr)
		}
	}
}

// never are expressions that no frame of the corpus matches, by their meaning.
var never = map[string]bool{"ip[1000] = 0": true}
