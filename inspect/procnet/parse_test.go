package procnet

import (
	"maps"
	"testing"
)

const (
	snmpText  = "Ip: Forwarding DefaultTTL InReceives InHdrErrors\nIp: 1 64 9209 0\nIcmpMsg: InType3\nIcmpMsg: 1\nTcp: RtoAlgorithm RtoMin RtoMax MaxConn RetransSegs\nTcp: 1 200 120000 -1 7\n"
	snmp6Text = "Ip6InReceives                   \t1\nIp6InHdrErrors                  \t0\nIcmp6InMsgs                     \t22\nUdpLite6InDatagrams             \t3\nUdp6NoPorts                     \t4\n"
	statText  = "entries  clashres found new drop\n00000005  00000000 00000001 00000000 0000000a\n00000005  00000001 00000000 00000000 00000010\n"
	softText  = "00004eda 00000002 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000005 00000003 00000000 00000000 00000000 00000000\n0000731b 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000\n"
)

func TestParse(t *testing.T) {
	got := map[string]uint64{}
	parsePairs([]byte(snmpText), got)
	parse6([]byte(snmp6Text), got)
	parseStat("conntrack", []byte(statText), got)
	parseSoftnet([]byte(softText), got)
	want := map[string]uint64{
		"Ip.InReceives": 9209, "IcmpMsg.InType3": 1, "Tcp.RetransSegs": 7,
		"Ip6.InReceives": 1, "Icmp6.InMsgs": 22, "UdpLite6.InDatagrams": 3, "Udp6.NoPorts": 4,
		"conntrack.entries": 5, "conntrack.clashres": 1, "conntrack.found": 1, "conntrack.drop": 26,
		"softnet.processed": 0x4eda + 0x731b, "softnet.dropped": 2, "softnet.time_squeeze": 1, "softnet.received_rps": 5, "softnet.flow_limit": 3,
	}
	if !maps.Equal(want, got) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func FuzzCounters(f *testing.F) {
	for _, s := range []string{snmpText, snmp6Text, statText, softText} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := map[string]uint64{}
		parsePairs(b, m)
		parse6(b, m)
		parseStat("x", b, m)
		parseSoftnet(b, m)
		for k, v := range m {
			if v == 0 && k != "" {
				t.Errorf("%q is zero", k)
			}
		}
		if len(m) > len(b)+8 {
			t.Errorf("%d counters of %d bytes", len(m), len(b))
		}
	})
}
