package e2e

import (
	"fmt"
	"strings"
)

// fcond are random conditions on frames, at a hook of a bridge or a device.
func (g *ruleGen) fcond(in, out, macs bool) string {
	var c []string
	op := func() string { return pick(g, "", "", "!= ") }
	for range g.IntN(3) {
		switch g.IntN(9) {
		case 0:
			c = append(c, "ip saddr "+op()+pick(g, append(ruleNets, ruleAddrs...)...))
		case 1:
			c = append(c, "ip daddr "+op()+pick(g, "{ 10.9.0.2, 10.9.1.0/28 }", "10.9.0.2-10.9.0.9", "10.9.1.1", "10.9.0.0/24"))
		case 2:
			c = append(c, pick(g, "tcp", "udp")+" dport "+op()+pick(g, "80", "{ 80, 443, 8000-9000 }", "53-100"))
		case 3:
			if in {
				c = append(c, "iifname "+op()+pick(g, `"pa1"`, `"v*"`, `{ "pa1", "pa2" }`, `"br0"`))
			}
		case 4:
			if out {
				c = append(c, "oifname "+op()+pick(g, `"pa1"`, `"p*"`, `"vb"`, `"br0"`))
			}
		case 5:
			c = append(c, "meta mark "+pick(g, "1", "!= 2", "& 0x1 == 1", "{ 1, 2-17 }"))
		case 6:
			if macs {
				c = append(c, "ether "+pick(g, "saddr ", "daddr ")+op()+pick(g, "02:00:00:00:00:02", "02:00:00:00:00:01", "{ 02:00:00:00:00:03, 02:00:00:00:01:02 }"))
			}
		case 7:
			c = append(c, "meta l4proto "+pick(g, "tcp", "{ tcp, icmp }", "!= udp"))
		case 8:
			c = append(c, pick(g, "ether type ip ", "meta protocol != arp", "ether type arp "))
		}
	}
	return strings.Join(c, " ")
}

// chain writes a chain of some rules for frames. What the tests themselves send to see that all came through is let pass.
func (g *ruleGen) chain(b *strings.Builder, name, where string, in, out, macs bool) {
	policy := "accept"
	if g.IntN(10) == 0 {
		policy = "drop"
	}
	fmt.Fprintf(b, "\tchain %s {\n\t\ttype filter hook %s priority %d; policy %s;\n\t\tether type 0x88b5 accept\n", name, where, pick(g, -250, -10, 0, 40), policy)
	for range g.IntN(4) {
		fmt.Fprintf(b, "\t\t%s %s\n", g.fcond(in, out, macs), pick(g, "accept", "accept", "drop", "return", "meta mark set 1", "meta mark set meta mark | 0x10", "counter", "jump u"))
	}
	b.WriteString("\t}\n")
}

func (g *ruleGen) userChain(b *strings.Builder) {
	b.WriteString("\tchain u {\n")
	for range g.IntN(3) {
		fmt.Fprintf(b, "\t\t%s %s\n", g.fcond(false, false, false), pick(g, "accept", "return", "meta mark set 2", "drop"))
	}
	b.WriteString("\t}\n")
}

// bridge is a random table of rules of the bridge.
func (g *ruleGen) bridge() string {
	var b strings.Builder
	b.WriteString("table bridge tb {\n")
	g.userChain(&b)
	for i, hook := range []string{"prerouting", "input", "forward", "output", "postrouting"} {
		if g.IntN(2) == 0 {
			g.chain(&b, fmt.Sprint("b", i), hook, hook != "output" && hook != "postrouting", hook != "prerouting" && hook != "input", hook == "prerouting" || hook == "forward")
		}
	}
	return b.String() + "}\n"
}

// netdev is a random table of rules of devices.
func (g *ruleGen) netdev() string {
	var b strings.Builder
	b.WriteString("table netdev td {\n")
	g.userChain(&b)
	for i, dev := range []string{"pa1", "pa2", "vb", "br0", "lo"} {
		if g.IntN(3) == 0 {
			g.chain(&b, fmt.Sprint("in", i), fmt.Sprintf("ingress device %q", dev), true, false, dev == "vb" || dev == "pa1")
		}
		if g.IntN(3) == 0 {
			g.chain(&b, fmt.Sprint("out", i), fmt.Sprintf("egress device %q", dev), false, true, false)
		}
	}
	return b.String() + "}\n"
}
