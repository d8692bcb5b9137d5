package filter

import (
	"net/netip"

	"github.com/nscope/nscope/capture/packet"
)

var encaps = map[string]packet.TunnelType{
	"vxlan": packet.VXLAN, "flannel-udp": packet.FlannelUDP, "geneve": packet.Geneve, "gre": packet.GREt, "ipip": packet.IPIPt, "esp": packet.ESPt,
}

// beyond are the primitives that tcpdump does not have.
func (p *parser) beyond(t token) (node, bool, error) {
	switch t.text {
	case "inner", "outer":
		p.take()
		p.inner = t.text == "inner"
		p.shift = shift{}
		if p.peek().kind == end || p.is(")", "and", "or", "&&", "||") {
			return nil, true, p.errAt(t, "%q of what?", t.text)
		}
		n, err := p.term()
		return n, true, err
	case "vni":
		p.take()
		n := p.take()
		if n.kind != number || n.num >= 1<<24 {
			return nil, true, p.errAt(n, "expected a VNI: a number of 24 bits")
		}
		return &vni{n.num}, true, nil
	case "encap":
		p.take()
		n := p.take()
		typ, ok := encaps[n.text]
		if !ok {
			return nil, true, p.errAt(n, "expected %s", oneOf("vxlan", "flannel-udp", "geneve", "gre", "ipip", "esp"))
		}
		return &encap{typ}, true, nil
	case "dir":
		p.take()
		switch n := p.take(); n.text {
		case "in":
			return &direction{In}, true, nil
		case "out":
			return &direction{Out}, true, nil
		default:
			return nil, true, p.errAt(n, "expected in or out")
		}
	case "container", "service":
		n, err := p.named()
		return n, true, err
	case "src", "dst":
		next := p.toks[p.at+1]
		if next.kind == word && (next.text == "container" || next.text == "service") {
			p.take()
			n, err := p.named()
			if err == nil {
				n.dir, n.id = t.text[0], "" // where it was captured tells no direction
			}
			return n, true, err
		}
	}
	return nil, false, nil
}

// named is "container NAME" or "service NAME".
func (p *parser) named() (*named, error) {
	t, name := p.take(), p.take()
	switch name.kind {
	case word, escaped, number, address, hwaddr:
	default:
		return nil, p.errAt(name, "expected the name of a %s", t.text)
	}
	if p.names == nil {
		return nil, p.unnamed(name, "no names are known here")
	}
	n := &named{addrs: map[netip.Addr]bool{}}
	var addrs []netip.Addr
	var err error
	if t.text == "container" {
		n.id, addrs, err = p.names.Container(name.text)
	} else {
		addrs, err = p.names.Service(name.text)
	}
	if err != nil {
		return nil, p.errAt(name, "%v", err)
	}
	for _, a := range addrs {
		n.addrs[a] = true
	}
	return n, nil
}
