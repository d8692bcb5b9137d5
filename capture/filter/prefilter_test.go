package filter

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
)

// fakeNames know one container and one service.
type fakeNames struct{}

func (fakeNames) Host(string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("10.0.1.2"), netip.MustParseAddr("fd00::2")}, nil
}

func (n fakeNames) Container(name string) (string, []netip.Addr, error) {
	a, _ := n.Host(name)
	return "id-" + name, a, nil
}

func (fakeNames) Service(string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("10.99.0.1")}, nil
}

// beyondExpressions are those that tcpdump does not have.
var beyondExpressions = []string{
	"inner tcp", "not inner tcp", "inner host 10.0.1.2 and tcp port 80", "outer host 10.0.1.2 and inner udp", "inner (host 10.0.1.2 or not tcp)", "vni 4097", "not vni 4097", "vni 4097 or tcp port 80", "encap vxlan",
	"encap gre or encap ipip", "encap esp", "not encap esp and ip", "encap geneve", "encap flannel-udp", "container web", "src container web", "dst container web", "not container web", "not src container web", "service api", "not service api and tcp",
	"dir in", "dir out", "dir in and tcp port 80", "not dir out", "host web", "not host web", "(outer not tcp) and inner not udp", "tcp port 80 and not inner (container web)", "not (vlan or inner mpls)", "inbound", "outbound and arp",
}

// kernelFrame is a frame as the kernel has it: a tag may stand beside it in place of in it.
func kernelFrame(data []byte, offload bool) (b []byte, tag bool) {
	if offload && len(data) >= 16 {
		switch binary.BigEndian.Uint16(data[12:]) {
		case packet.TypeVLAN, packet.TypeQinQ:
			return append(bytes.Clone(data[:12]), data[16:]...), true
		}
	}
	return data, false
}

// TestPrefilter: whatever the exact filter takes of what the kernel keeps of a frame, the kernel's program lets through, for all expressions, links
// and frames; and it drops.
func TestPrefilter(t *testing.T) {
	g := corpus.New(30)
	frames := g.Frames(1200, 15)
	for range 4 {
		frames = append(frames, corpus.Truncations(g.Ether(0))...)
	}
	var d packet.Decoder
	var pkt packet.Packet
	for _, expr := range append(append([]string{}, expressions...), beyondExpressions...) {
		f, err := Parse(expr, fakeNames{})
		if err != nil {
			continue // libpcap's refusals are tested beside it
		}
		for _, k := range []Kernel{{}, {SnapLen: 70, Workload: "id-web"}} {
			prog := f.Prefilter(k)
			if len(prog) > maxProgram {
				t.Fatalf("%q: %d instructions", expr, len(prog))
			}
			dropped, took := 0, 0
			for i, fr := range frames {
				if len(fr.Data) < 14 {
					continue // no link sends such
				}
				data, tag := kernelFrame(fr.Data, i%2 == 0)
				meta, kind := Meta{Dir: In, Workload: k.Workload}, uint32(0)
				if i%3 == 0 {
					meta.Dir, kind = Out, outgoing
				}
				keep := uint32(len(data))
				if prog != nil {
					keep = runIn(prog, data, len(data), map[uint32]uint32{adPacketType: kind, adHwType: hwEther, adVLAN: uint32(map[bool]int{true: 1}[tag])})
					if keep != 0 && k.SnapLen != 0 && keep != k.SnapLen {
						t.Fatalf("%q: keeps %d of %d", expr, keep, k.SnapLen)
					}
				}
				if keep == 0 {
					dropped++
				}
				// What comes out of the ring: cut, the tag put back.
				cut := fr.Data
				if k.SnapLen != 0 {
					n := int(k.SnapLen)
					if tag {
						n += 4
					}
					cut = fr.Data[:min(len(fr.Data), n)]
				}
				d.Decode(&pkt, cut, len(fr.Data), packet.Ethernet)
				if !f.Match(&pkt, meta) {
					continue
				}
				if took++; keep == 0 {
					t.Fatalf("%q (%+v): dropped, and it matches: % x", expr, k, fr.Data)
				}
			}
			if want, ok := mustDrop[expr]; ok && k.SnapLen == 0 && dropped*100 < want*len(frames) {
				t.Errorf("%q: %d of %d dropped, %d taken", expr, dropped, len(frames), took)
			}
		}
	}
}

// mustDrop says how many of a hundred of the corpus' frames (many are tagged or tunnelled) a program must drop.
var mustDrop = map[string]int{"tcp port 80": 40, "host 10.0.1.2": 30, "arp": 45, "icmp": 45, "not tcp": 10, "ether host 02:42:0a:00:00:02": 20, "inner tcp": 10, "container web": 20, "dir in": 15, "vni 4097": 30, "dst container web": 20}

func TestPrefilterOfNothing(t *testing.T) {
	for _, expr := range []string{"", "tcp[13] & 2 != 0 or len > 3"} {
		f, err := Parse(expr, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p := f.Prefilter(Kernel{SnapLen: 96}); len(p) == 0 || p[len(p)-1].Op != retK {
			t.Errorf("%q: %v", expr, p)
		}
	}
	var none *Filter
	if p := none.Prefilter(Kernel{}); p != nil {
		t.Errorf("%v", p)
	}
	if p := none.Prefilter(Kernel{SnapLen: 96}); runIn(p, make([]byte, 200), 200, nil) != 96 {
		t.Errorf("%v", p)
	}
	// Not Ethernet: everything passes.
	f, _ := Parse("tcp", nil)
	if runIn(f.Prefilter(Kernel{}), []byte{0x45}, 1, map[uint32]uint32{adHwType: 65534}) == 0 {
		t.Error("a tun link's packet is dropped")
	}
}

// runIn is the machine with what the kernel knows beside the frame; a load beyond the end drops it.
func runIn(prog []Instruction, data []byte, wire int, ancillary map[uint32]uint32) uint32 {
	old := make([]instruction, len(prog))
	for i, x := range prog {
		old[i] = instruction{x.Op, x.JT, x.JF, x.K}
	}
	return machine(old, data, wire, ancillary)
}
