// Package ruleset says what the firewall rules of one network namespace do to one packet. It evaluates what a
// snapshot holds ([snapshot.Netfilter]); it reads nothing and asks no kernel.
//
//	rs := ruleset.New(&ns.Netfilter)
//	r := rs.Eval(ruleset.At{Family: "ip", Hook: "forward"}, packet, env)
//
// One hook is evaluated as the kernel runs it: base chains of both backends and of the families that see the packet by
// rising priority, conntrack at -200, address translation in its one place. An accept ends a base chain and not the
// hook; a drop ends the packet. [Space.Walk] leads a packet through a namespace hook by hook, with the routing and
// bridging between them.
//
// Nothing is guessed. What a packet's description leaves open ([Packet.Known]) and what no evaluation can tell (a random
// choice, a rate limit, an extension that is not understood) is a Maybe: both ways are followed, and only where they end
// differently the verdict is [Unknown], because of that rule.
//
// Order of base chains: include/linux/netfilter.h, net/netfilter/core.c; priorities:
// include/uapi/linux/netfilter_ipv4.h, netfilter_bridge.h. Translation: net/netfilter/nf_nat_core.c.
package ruleset
