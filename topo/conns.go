package topo

import (
	"fmt"
	"net/netip"

	"github.com/nscope/nscope/inspect/snapshot"
)

// ConnRow is one connection as `nscope conns` lists it, with names where the graph knows them.
type ConnRow struct {
	// By is who tracks it: conntrack or ipvs.
	By    string `json:"by"`
	Proto string `json:"proto"`
	State string `json:"state,omitempty"`
	// From and To are the two ends as the first packet has them.
	From ConnEnd `json:"from"`
	To   ConnEnd `json:"to"`
	// Server is where it really goes, where To is translated to another address or port.
	Server *ConnEnd `json:"server,omitempty"`
	// As is whom the server sees, where From is translated.
	As *ConnEnd `json:"as,omitempty"`
	// Unreplied: no answer was seen.
	Unreplied bool `json:"unreplied,omitempty"`
	// Expires is how many seconds remain when no packet comes.
	Expires uint32 `json:"expires_s"`
	Mark    uint32 `json:"mark,omitempty"`
	Zone    uint16 `json:"zone,omitempty"`
	// Packets and Bytes are of both directions, where the kernel counts them (net.netfilter.nf_conntrack_acct).
	Packets uint64 `json:"packets,omitempty"`
	Bytes   uint64 `json:"bytes,omitempty"`
}

// ConnEnd is one end of a connection.
type ConnEnd struct {
	// Addr has port 0 where the protocol has none.
	Addr netip.AddrPort `json:"addr"`
	Name string         `json:"name,omitempty"`
}

// String is "web:80", or "10.0.1.5:80" where no name is known; without the port where there is none.
func (e ConnEnd) String() string {
	switch {
	case e.Addr.Port() == 0 && e.Name != "":
		return e.Name
	case e.Addr.Port() == 0:
		return e.Addr.Addr().String()
	case e.Name != "":
		return fmt.Sprintf("%s:%d", e.Name, e.Addr.Port())
	}
	return e.Addr.String()
}

// Translation says in addresses what becomes of the ends: "10.0.1.2:80 → 10.0.1.5:80", "as 10.0.0.1:4000"; empty where nothing does.
func (r *ConnRow) Translation() string {
	s := ""
	if r.Server != nil {
		s = bare(r.To) + " → " + bare(*r.Server)
	}
	if r.As != nil {
		if s != "" {
			s += ", "
		}
		s += "as " + bare(*r.As)
	}
	return s
}

func bare(e ConnEnd) string { return ConnEnd{Addr: e.Addr}.String() }

// Conns names the ends of connections that a namespace tracks, as the graph knows them from there.
func (g *Graph) Conns(ns *Node, conns []snapshot.Conn, balanced []snapshot.IPVSConn) []ConnRow {
	names := map[netip.Addr]string{}
	end := func(a netip.AddrPort) ConnEnd {
		n, ok := names[a.Addr()]
		if !ok {
			n = g.WhoHas(ns, a.Addr())
			names[a.Addr()] = n
		}
		return ConnEnd{a, n}
	}
	out := make([]ConnRow, 0, len(conns)+len(balanced))
	for i := range conns {
		c := &conns[i]
		r := ConnRow{
			By: "conntrack", Proto: c.Protocol, State: c.State, From: end(c.Orig.Src), To: end(c.Orig.Dst), Unreplied: true, Expires: c.Timeout,
			Mark: c.Mark, Zone: c.Zone, Packets: c.Orig.Packets + c.Reply.Packets, Bytes: c.Orig.Bytes + c.Reply.Bytes,
		}
		for _, s := range c.Status {
			if s == "seen-reply" {
				r.Unreplied = false
			}
		}
		if c.DNAT() {
			e := end(c.Server())
			r.Server = &e
		}
		if c.SNAT() {
			e := end(c.Reply.Dst)
			r.As = &e
		}
		out = append(out, r)
	}
	for i := range balanced {
		c := &balanced[i]
		r := ConnRow{By: "ipvs", Proto: c.Protocol, State: c.State, From: end(c.Client), Expires: c.Expires}
		if c.Protocol == "ip" {
			// The template of a persistent service by mark, which stands where the address does.
			r.To = ConnEnd{Addr: c.Virtual, Name: fmt.Sprintf("mark %#x", markOf(c.Virtual.Addr()))}
		} else {
			r.To = end(c.Virtual)
		}
		e := end(c.Destination)
		r.Server = &e
		out = append(out, r)
	}
	return out
}

// markOf is the mark in the last 32 bits of an address.
func markOf(a netip.Addr) uint32 {
	b := a.As16()
	return uint32(b[12])<<24 | uint32(b[13])<<16 | uint32(b[14])<<8 | uint32(b[15])
}
