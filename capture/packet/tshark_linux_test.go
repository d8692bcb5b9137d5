package packet_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// fields are what tshark says of a packet, every occurrence, the outermost first.
var fields = []string{"frame.number", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "sctp.srcport", "sctp.dstport", "vxlan.vni", "geneve.vni", "gre.key", "esp.spi", "arp.src.proto_ipv4", "arp.dst.proto_ipv4", "vlan.id", "ieee8021ad.id", "mpls.label"}

// TestSameAsTshark compares addresses, ports, VNIs and VLANs of every header of 60,000 frames, tunnels nested, with what tshark dissects.
func TestSameAsTshark(t *testing.T) {
	nettest.NeedsTool(t, "tshark")
	g := corpus.New(6)
	frames := g.Frames(60000, 0)
	for range 20 {
		frames = append(frames, corpus.Truncations(g.Ether(0))...)
	}
	path := filepath.Join(t.TempDir(), "corpus.pcapng")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcap.NewWriter(out, pcap.Section{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddInterface(pcap.Interface{Link: packet.Ethernet}); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		w.Append(&pcap.Record{Data: f.Data, Len: f.WireLen})
		if w.Buffered() > 1<<16 {
			w.Flush()
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	// No heuristics and no reassembly: what is in this packet. flannel's UDP is told to be IP; a quoted packet in an ICMP error is not one.
	args := []string{"-n", "-r", path, "-d", "udp.port==4789,vxlan", "-d", "udp.port==8472,vxlan", "-d", "udp.port==8285,ip", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE",
		"-o", "tcp.desegment_tcp_streams:FALSE", "-T", "fields", "-E", "occurrence=a", "-E", "separator=|", "-E", "aggregator= "}
	for _, p := range []string{"http", "tls", "dns", "ssh", "pgsql", "icmp", "icmpv6", "http2", "mdns", "llmnr"} {
		args = append(args, "--disable-protocol", p)
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(pipe)
	s.Buffer(nil, 1<<20)
	var d packet.Decoder
	var p packet.Packet
	n, wrong := 0, 0
	for s.Scan() {
		cols := strings.Split(s.Text(), "|")
		d.Decode(&p, frames[n].Data, frames[n].WireLen, packet.Ethernet)
		n++
		got := said(&p)
		for i, f := range fields[1:] {
			if f == "ieee8021ad.id" && strings.Contains(got[f], " ") {
				continue // tshark has other names for the tags of a frame that has two such
			}
			if i+1 >= len(cols) || got[f] == cols[i+1] || deeper(&p, got[f], cols[i+1]) {
				continue
			}
			if wrong++; wrong <= 10 {
				t.Errorf("frame %d: %s is %q, tshark says %q\n%s\n% x", n, f, got[f], cols[i+1], s.Text(), frames[n-1].Data)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if n != len(frames) {
		t.Errorf("tshark told of %d of %d frames", n, len(frames))
	}
	if wrong > 0 {
		t.Errorf("%d fields of %d frames differ", wrong, n)
	}
}

// deeper tells whether tshark went on where no further tunnel is opened: too many, or a UDP length that ends before what is in it, or where
// what was captured ends.
func deeper(p *packet.Packet, got, want string) bool {
	if !p.Deeper && p.Status()&(packet.Malformed|packet.Truncated) == 0 && !lies(p) {
		return false
	}
	return strings.HasPrefix(want, got) || strings.HasPrefix(got, want) // one stops earlier than the other, neither says something else
}

// lies tells whether a UDP length is another than that of the IP packet.
func lies(p *packet.Packet) bool {
	for i := range p.N {
		h := &p.Heads[i]
		if h.Proto != packet.UDP || h.L4 < 0 || h.L4+8 > len(p.Data) {
			continue
		}
		end := h.Net + int(binary.BigEndian.Uint16(p.Data[h.Net+2:]))
		if h.Version == 6 {
			end = h.Net + 40 + int(binary.BigEndian.Uint16(p.Data[h.Net+4:]))
		}
		if h.L4+int(binary.BigEndian.Uint16(p.Data[h.L4+4:])) != end {
			return true
		}
	}
	return false
}

// said is what the decoder found, as tshark would print it.
func said(p *packet.Packet) map[string]string {
	out := map[string]string{}
	add := func(f string, v any) {
		if out[f] != "" {
			out[f] += " "
		}
		out[f] += fmt.Sprint(v)
	}
	for i := range p.N {
		h := &p.Heads[i]
		for j := range h.NTags {
			add(map[bool]string{true: "ieee8021ad.id", false: "vlan.id"}[h.TagTypes[j] == packet.TypeQinQ], h.VLAN(j))
		}
		for j := range h.NLabels {
			add("mpls.label", p.Label(h, j))
		}
		switch {
		case h.ARP:
			add("arp.src.proto_ipv4", h.Src)
			add("arp.dst.proto_ipv4", h.Dst)
		case h.Version == 4:
			add("ip.src", h.Src)
			add("ip.dst", h.Dst)
		case h.Version == 6:
			add("ipv6.src", h.Src)
			add("ipv6.dst", h.Dst)
		}
		if h.HasPorts() {
			name := map[uint8]string{packet.TCP: "tcp", packet.UDP: "udp", packet.SCTP: "sctp", packet.UDPLite: "udp"}[h.Proto]
			add(name+".srcport", h.SrcPort)
			add(name+".dstport", h.DstPort)
		}
		if i < p.NT {
			switch t := &p.Tunnels[i]; {
			case !t.HasVNI:
			case t.Type == packet.VXLAN:
				add("vxlan.vni", t.VNI)
			case t.Type == packet.Geneve:
				add("geneve.vni", fmt.Sprintf("0x%06x", t.VNI))
			case t.Type == packet.GREt:
				add("gre.key", fmt.Sprintf("0x%08x", t.VNI))
			case t.Type == packet.ESPt:
				add("esp.spi", fmt.Sprintf("0x%08x", t.VNI))
			}
		}
	}
	return out
}
