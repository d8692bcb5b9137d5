package flow

import (
	"fmt"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/text"
)

// flow is a conversation as it is reported.
func (c *conv) flow() Flow {
	a := int(c.opener)
	f := Flow{
		At: c.at.name, Proto: protoName(c.proto), VLAN: c.vlan, A: c.end(a), B: c.end(1 - a), First: stamp(c.first), Last: stamp(c.last), Rate: rate(c.total(), c.last-c.first),
		Fragments: c.fragments, TooBig: c.tooBig, MTU: c.mtu, Unreachable: c.unreachable, BadSums: c.badSums,
	}
	if c.tunnel != packet.NoTunnel && c.tunnel != packet.ESPt {
		f.Tunnel = c.tunnel.String()
		if c.tunnel == packet.VXLAN || c.tunnel == packet.Geneve || c.vni != 0 {
			v := c.vni
			f.VNI = &v
		}
	}
	if c.proto == packet.TCP {
		f.State = c.state()
		f.Handshake = float64(c.tcp.handshake) / 1e3
	}
	if c.asks != nil {
		q := c.asks.report()
		if c.asks.isDNS {
			f.DNS = q
		} else {
			f.Echo = q
		}
	}
	f.Hints = c.hints()
	return f
}

func protoName(n uint8) string { return text.ProtoKey(&packet.Head{Version: 4, Proto: n}) }

func (c *conv) end(i int) End {
	s := &c.sides[i]
	e := End{Count: s.Count, Name: c.names[i], Payload: s.payload, Retransmitted: s.seq.retransmitted, OutOfOrder: s.seq.outOfOrder, Resets: s.resets, ZeroWindows: s.seq.zeroWindows,
		MSS: s.seq.mss, MaxPacket: s.maxPacket, AckRTT: s.seq.rtt.times()}
	addr := c.lo
	if i == 1 {
		addr = c.hi
	}
	e.Addr, e.Port = addr.Addr().String(), addr.Port()
	return e
}

func (c *conv) state() string {
	t := &c.tcp
	switch {
	case t.refused:
		return "refused"
	case t.reset != 0:
		return "reset"
	case t.fins[0] && t.fins[1]:
		return "closed"
	case t.handshake != 0 || c.sides[0].payload+c.sides[1].payload > 0:
		return "open"
	case c.sure && !t.answered:
		return "syn"
	}
	return ""
}

func (a *asks) report() *Asked {
	return &Asked{Asked: a.asked, Answered: a.answered, Unanswered: a.asked - min(a.answered, a.asked), NoName: a.noName, Failed: a.failed, Time: a.time.times()}
}

// hints say what is worth a look, in words.
func (c *conv) hints() (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if c.proto == packet.TCP {
		switch c.state() {
		case "syn":
			if c.tcp.syns > 1 {
				say("no answer to %d SYN", c.tcp.syns)
			}
		case "refused":
			say("refused")
		}
	}
	if n := c.blackHole(); n > 0 {
		say("segments of %d bytes and more do not arrive: an MTU on the way is smaller?", n)
	}
	out = append(out, pathHints(uint64(c.tooBig), c.mtu, uint64(c.fragments), uint64(c.unreachable), uint64(c.badSums))...)
	return out
}

func pathHints(tooBig uint64, mtu uint16, fragments, unreachable, badSums uint64) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch {
	case tooBig > 0 && mtu > 0:
		say("%d too big: an MTU of %d on the way", tooBig, mtu)
	case tooBig > 0:
		say("%d too big for an MTU on the way", tooBig)
	}
	if fragments > 0 {
		say("%d fragments", fragments)
	}
	if unreachable > 0 {
		say("%d unreachable", unreachable)
	}
	if badSums > 0 {
		say("%d bad checksums", badSums)
	}
	return out
}

func (p *pair) hints() (out []string) {
	if p.refused > 0 {
		out = append(out, fmt.Sprintf("%d refused", p.refused))
	}
	if p.hole {
		out = append(out, "large segments do not arrive: an MTU on the way is smaller?")
	}
	return append(out, pathHints(p.tooBig, p.mtu, p.fragments, p.unreachable, p.badSums)...)
}
