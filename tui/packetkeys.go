package tui

import (
	"fmt"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/capture/packet"
)

// Typing tells that the filter line has the keys.
func (p *packets) Typing() bool { return p.filter.typing }

// Key takes a key.
func (p *packets) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	p.sync()
	if p.filter.typing {
		return p.filter.update(p, msg), true
	}
	is := func(b key.Binding) bool { return key.Matches(msg, b) }
	switch {
	case is(packetFilterKey):
		p.filter.begin()
	case is(flowKey):
		return p.flow(), true
	case is(saveKey):
		if len(p.shown) == 0 {
			return complain("there are no packets to save"), true
		}
		return send(askMsg{"save " + p.saveName()}), true
	case is(againKey):
		switch {
		case p.asked != "":
			ids := []string{p.asked}
			p.asked = ""
			return p.Capture(ids), true
		case len(p.env.marks) > 0:
			return p.Capture(p.env.marks), true
		case len(p.ids) > 0:
			return p.Capture(p.ids), true
		}
		return complain("nothing is selected: c on a container, namespace, link or network captures it"), true
	case is(endKey):
		p.stop("ended: c captures again")
	case is(clearKey):
		p.clear()
	case is(keys.Pane):
		return nil, p.turn(1)
	case is(keys.PrevPane):
		return nil, p.turn(-1)
	case is(keys.Open):
		if p.pane == paneList {
			p.turn(1)
		}
	case is(keys.Back):
		switch {
		case p.pane != paneList:
			p.pane = paneList
		case p.filter.text != "":
			return p.filter.set(p, ""), true
		default:
			return nil, false
		}
	case p.pane == paneLayers:
		return nil, p.layers.key(msg)
	case p.pane == paneHex:
		return nil, p.hex.key(msg)
	default:
		return nil, p.move(msg)
	}
	return nil, true
}

// turn goes to the next pane, or the one before; false where there is none any more.
func (p *packets) turn(n int) bool {
	if len(p.shown) == 0 || p.pane+n < 0 || p.pane+n >= panes {
		p.pane = paneList
		return false
	}
	if p.pane += n; p.pane != paneList {
		p.low = p.pane
	}
	return true
}

// move moves the cursor in the list.
func (p *packets) move(msg tea.KeyPressMsg) bool {
	is := func(b key.Binding) bool { return key.Matches(msg, b) }
	last, before := max(len(p.shown)-1, 0), p.cursor
	switch {
	case is(keys.Left):
		p.left = max(p.left-8, 0)
	case is(keys.Right):
		p.left += 8
	case !moveCursor(msg, &p.cursor, len(p.shown), p.page):
		return false
	}
	p.tail = p.cursor == last && (p.tail && before == last || is(keys.Bottom))
	return true
}

// flow shows the flow of the selected packet alone, wherever it was seen: what is in tunnels too. Again, all that was shown before.
func (p *packets) flow() tea.Cmd {
	if p.filter.before != nil {
		return p.filter.set(p, *p.filter.before)
	}
	if p.cursor >= len(p.shown) {
		return complain("there is no packet to follow")
	}
	expr, ok := flowOf(p.shown[p.cursor].Packet)
	if !ok {
		return complain("this packet has no addresses to follow")
	}
	before := p.filter.text
	cmd := p.filter.set(p, expr)
	p.filter.before = &before
	return cmd
}

// flowOf is a filter for all packets of a packet's flow, in both directions.
func flowOf(p *packet.Packet) (string, bool) {
	h := p.Inner()
	if !h.Src.IsValid() || !h.Dst.IsValid() {
		return "", false
	}
	s := fmt.Sprintf("inner host %s and host %s", h.Src, h.Dst)
	switch {
	case h.ARP:
		s += " and arp"
	case h.HasPorts() && h.Proto != packet.UDPLite:
		name := map[uint8]string{packet.TCP: "tcp", packet.UDP: "udp", packet.SCTP: "sctp"}[h.Proto]
		s += fmt.Sprintf(" and %s port %d and port %d", name, h.SrcPort, h.DstPort)
	case h.Proto == packet.ICMP && h.Version == 4:
		s += " and icmp"
	case h.Proto == packet.ICMPv6 && h.Version == 6:
		s += " and icmp6"
	case h.Version == 4:
		s += fmt.Sprintf(" and ip proto %d", h.Proto)
	case h.Version == 6:
		s += fmt.Sprintf(" and ip6 proto %d", h.Proto)
	}
	return s, true
}
