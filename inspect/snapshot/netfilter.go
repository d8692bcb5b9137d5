package snapshot

import "net/netip"

// Netfilter is every firewall rule of one namespace, of nftables and of the older x_tables ("legacy" iptables), in one
// model. Rules of iptables-nft are nftables rules; their xt-compat expressions are decoded as those of legacy tables are.
type Netfilter struct {
	// Generation is nftables' (NFTA_GEN_ID): the same before and after the dump. 0: no nftables, or none asked. A namespace
	// without any rule has one, too.
	Generation uint32    `json:"generation,omitempty"`
	Tables     []NfTable `json:"tables"`
}

// NeedsNfTables is what a [Gap] of the reader "nftables" needs where the kernel has no nf_tables: a namespace then has no such
// rules, and what else it has is known.
const NeedsNfTables = "a kernel with nf_tables"

// The backends of a [NfTable].
const (
	NfNft    = "nft"    // nf_tables: nft, iptables-nft, firewalld, Docker's nftables backend
	NfLegacy = "legacy" // x_tables: iptables-legacy, ip6tables-legacy
)

// NfTable is a table with all in it.
type NfTable struct {
	Backend string `json:"backend"` // nft, legacy
	Family  string `json:"family"`  // ip, ip6, inet, bridge, arp, netdev
	Name    string `json:"name"`
	Handle  uint64 `json:"handle,omitempty"`
	// Flags: dormant (its chains see no packet), owner, persist.
	Flags   []string `json:"flags"`
	Comment string   `json:"comment,omitempty" redact:"text"`
	// Chains in the kernel's order, which is that of their making.
	Chains     []NfChain     `json:"chains"`
	Sets       []NfSet       `json:"sets"`
	Objects    []NfObject    `json:"objects"`
	Flowtables []NfFlowtable `json:"flowtables"`
}

// NfChain is a chain. One with a Hook is a base chain: packets come to it at that hook, by rising priority.
type NfChain struct {
	Name   string `json:"name"`
	Handle uint64 `json:"handle,omitempty"`
	// Type is filter, nat or route; empty for a chain that is only jumped to. In a nat chain only the first packet of a
	// connection is looked at.
	Type string `json:"type,omitempty"`
	// Hook is prerouting, input, forward, output, postrouting, ingress or egress; empty for a chain that is only jumped to.
	Hook     string `json:"hook,omitempty"`
	Priority int32  `json:"priority"`
	// Policy is what becomes of a packet that no rule decided: accept, drop; empty for a chain that is only jumped to.
	Policy string `json:"policy,omitempty"`
	// Devices are those of an ingress or egress hook.
	Devices []string `json:"devices,omitempty"`
	// Counter is the policy's, where it counts.
	Counter *NfCounter `json:"counter,omitempty"`
	Flags   []string   `json:"flags,omitempty"` // hw_offload
	Comment string     `json:"comment,omitempty" redact:"text"`
	// Rules in the order in which they are tried.
	Rules []NfRule `json:"rules"`
}

// NfCounter counts packets and bytes.
type NfCounter struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// NfRule is one rule: its expressions are run in order, until one does not match or gives a verdict. (They stay one list:
// nftables may count, change and match again.)
type NfRule struct {
	// Handle is nftables'; 0 in a legacy table.
	Handle uint64   `json:"handle,omitempty"`
	Exprs  []NfExpr `json:"exprs"`
	// Comment is that of nft (user data) or of iptables (-m comment), the first.
	Comment string `json:"comment,omitempty" redact:"text"`
	// Unknown names what was not understood, "match string", "expr synproxy": what its [NfUnknown]s keep verbatim. A
	// rule with any cannot be evaluated for a packet that comes to it. Absent: all was understood.
	Unknown []string `json:"unknown,omitempty"`
}

// NfExpr is one step of a rule. Exactly one of the pointers (or Matches) is set.
type NfExpr struct {
	// Matches are conditions; all must hold. There is one of a native nftables comparison (several where it compares
	// fields beside each other at once), and none, one or several of an xtables match: with none it always holds.
	Matches []NfMatch `json:"matches,omitempty"`
	// Map looks a key up in a map of verdicts and does what it finds; nothing found: the rule does not match.
	Map     *NfVerdictMap `json:"vmap,omitempty"`
	Verdict *NfVerdict    `json:"verdict,omitempty"`
	Counter *NfCounter    `json:"counter,omitempty"`
	NAT     *NfNAT        `json:"nat,omitempty"`
	Assign  *NfAssign     `json:"assign,omitempty"`
	Limit   *NfLimit      `json:"limit,omitempty"`
	Reject  *NfReject     `json:"reject,omitempty"`
	Log     *NfLog        `json:"log,omitempty"`
	Update  *NfUpdate     `json:"update,omitempty"`
	// Action is anything else that is understood and neither ends the rule nor decides: notrack, checksum fill, a flowtable,
	// a named counter, a synproxy …
	Action  *NfAction  `json:"action,omitempty"`
	Unknown *NfUnknown `json:"unknown,omitempty"`
	// XT is the xtables match or target that it was written as; absent for nftables' own.
	XT *NfXT `json:"xt,omitempty"`
	// Parts is how many of the kernel's expressions it stands for, where more than one: loads, masks and a comparison
	// are one match here. Of all expressions of a rule (a hidden dependency, "meta l4proto tcp" before "tcp dport", counts
	// with the match that needs it) they add up to what the kernel said.
	Parts int `json:"parts,omitempty"`
}

// NfXT is an xtables extension by name and revision ("conntrack", 3), as in struct xt_entry_match and xt_entry_target.
type NfXT struct {
	Name string `json:"name"`
	Rev  uint8  `json:"rev,omitempty"`
}

// The operators of a [NfMatch].
const (
	NfEq   = "=="
	NfNe   = "!="
	NfLt   = "<"
	NfLe   = "<="
	NfGt   = ">"
	NfGe   = ">="
	NfAny  = "any"  // at least one bit of Values is set
	NfNone = "none" // no bit of Values is set
)

// NfMatch is a condition: a packet without Left (a payload field "tcp dport" is there in TCP only, "ip saddr" in IPv4 only) does
// not match, whatever the operator. What Left gives is compared with Values. With several values (or a set) "==" means one of them,
// and "!=" none of them.
type NfMatch struct {
	Left NfOperand `json:"left"`
	Op   string    `json:"op"`
	// Values, in the type that Left has. Bits (ct state, tcp flags) are a number each, or one of several bits.
	Values []NfValue `json:"values,omitempty"`
	// Set is the name of the set of the same table that Left is looked up in, in place of Values; an anonymous set
	// (name __set%d) stands in [NfTable].Sets too.
	Set string `json:"set,omitempty"`
	// Right is what it is compared with where that is no constant (nftables compares registers since Linux 6.16).
	Right *NfOperand `json:"right,omitempty"`
}

// NfOperand is something of the packet, or that the kernel knows about it.
//
//	payload   Key "ip saddr", "tcp dport", "ether type" …, as nft names fields; where no field fits, Key is empty and Base,
//	          Offset, Len tell
//	meta      iif, oif, iifname, oifname, iiftype, iifgroup, mark, priority, protocol, nfproto, l4proto, pkttype, length, skuid, skgid, cpu,
//	          cgroup, rtclassid, secpath, time, day, hour, ibrname, obrname, sdif …
//	ct        state, status, mark, direction, expiration, helper, zone, l3proto, protocol, saddr, daddr, "ip saddr", "ip daddr",
//	          proto-src, proto-dst, bytes, packets, avgpkt, label, id; Dir where given
//	fib       "daddr type", "daddr . iif type", "saddr . iif oif", as nft spells flags and result
//	rt        nexthop, classid, mtu, ipsec
//	socket    transparent, mark, wildcard, cgroupv2
//	exthdr    Key "frag more-fragments"; tcpopt "maxseg size"; ipopt "lsrr type"; "sctp chunk" "data tsn"; "dccp option" "5 exists". Where no
//	          field fits Offset and Len tell
//	inner     what is inside of a tunnel: Key "vxlan vni", "vxlan ip saddr", "gre meta protocol", or "vxlan" with Base, Offset, Len
//	and, or, xor  of Parts, bit by bit
//	numgen    inc, random: with Mod and Add
//	hash      jhash (of Parts), symhash: with Mod, Add, Seed
//	tunnel    id, path
//	xfrm      "in reqid", "out ip saddr" …
//	osf       name, version
//	concat    of Parts
//	map       what Map gives for Parts[0]
//	xt        what only an xtables module tests: "statistic random" (of 2^31), "statistic nth", "physdev in", "physdev out", "physdev is-in",
//	          "physdev is-out", "physdev is-bridged", "policy …", "owner …", "string …", "u32", "bpf", "recent …", "hashlimit",
//	          "connlimit", "ipvs", "ipvs vaddr", "ipset", "time …", "rpfilter" …; "comment" is always true
type NfOperand struct {
	Kind string `json:"kind"`          // see above
	Key  string `json:"key,omitempty"` // what of it, see above
	Dir  string `json:"dir,omitempty"` // original, reply
	// Base, Offset and Len are a payload's: link, network, transport, inner; bits.
	Base   string `json:"base,omitempty"`
	Offset int    `json:"offset,omitempty"`
	Len    int    `json:"len,omitempty"`
	// Mask and Xor are applied to what was loaded (value & Mask ^ Xor) before it is compared, hexadecimal, in network byte order
	// for payload and as a number else; then Shift bits (to the left; negative: right).
	Mask  string `json:"mask,omitempty"`
	Xor   string `json:"xor,omitempty"`
	Shift int    `json:"shift,omitempty"`
	// Mod, Add, Seed: the result is value modulo Mod, plus Add.
	Mod   uint32      `json:"mod,omitempty"`
	Add   uint32      `json:"add,omitempty"`
	Seed  uint32      `json:"seed,omitempty"`
	Parts []NfOperand `json:"parts,omitempty"`
	// Map gives the operand by a lookup of Parts[0] in this map of the table ("ip saddr map @m").
	Map string `json:"map,omitempty"`
	// Opts are the settings of an xt test that have no place above, by iptables' option without dashes: "algo": "bm".
	Opts map[string]string `json:"opts,omitempty" redact:"value"`
}

// NfValue is one constant: exactly one field is set.
type NfValue struct {
	// Prefix is an address (as /32 or /128) or a network; MaskedAddr one under a mask that is no prefix.
	Prefix netip.Prefix `json:"prefix,omitzero"`
	Masked *NfMasked    `json:"masked,omitempty"`
	// Addrs is a range of addresses, both ends included.
	Addrs *NfAddrs `json:"addrs,omitempty"`
	// Num is a number or a range of numbers, both ends included: ports, marks, protocols, bits, lengths, seconds.
	Num *NfNum `json:"num,omitempty"`
	// Text is a name: of an interface (a "*" at the end stands for the rest of any), of a helper.
	Text string `json:"text,omitempty" redact:"text"`
	MAC  string `json:"mac,omitempty" redact:"mac"`
	// Hex are raw bytes in network byte order, for what has no type.
	Hex string `json:"hex,omitempty" redact:"hex"`
	// Parts are those of a concatenation.
	Parts []NfValue `json:"parts,omitempty"`
}

// NfNum is a number, or a range with both ends included.
type NfNum struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// NfAddrs is a range of addresses, both ends included.
type NfAddrs struct {
	From netip.Addr `json:"from"`
	To   netip.Addr `json:"to"`
}

// NfMasked is an address that is compared under a mask that is no prefix.
type NfMasked struct {
	Addr netip.Addr `json:"addr"`
	// Mask is hexadecimal, as many bytes as the address has. (It is no address: redaction leaves it.)
	Mask string `json:"mask"`
}

// NfVerdict is what becomes of the packet.
type NfVerdict struct {
	// Kind: accept, drop, return, jump, goto, continue, queue, stolen.
	Kind  string `json:"kind"`
	Chain string `json:"chain,omitempty"` // of jump and goto
	// Queue is the range of queue numbers, of queue; Bypass accepts where nobody listens.
	Queue *NfNum `json:"queue,omitempty"`
	// QueueFrom gives the number where it is no constant.
	QueueFrom *NfOperand `json:"queue_from,omitempty"`
	Flags     []string   `json:"flags,omitempty"` // bypass, fanout
	DropNo    int        `json:"errno,omitempty"` // errno of a drop that has one
}

// NfVerdictMap is a lookup in a map whose values are verdicts.
type NfVerdictMap struct {
	Key NfOperand `json:"key"`
	Map string    `json:"map"`
}

// NfNAT translates addresses. In place of constants there may be a map (Map) or an operand.
type NfNAT struct {
	// Kind: dnat, snat, masquerade, redirect, netmap, tproxy.
	Kind   string     `json:"kind"`
	Family string     `json:"family,omitempty"` // ip, ip6: what is translated
	Addr   netip.Addr `json:"addr,omitzero"`
	AddrTo netip.Addr `json:"addr_to,omitzero"` // the end of a range
	// Prefix is netmap's network.
	Prefix netip.Prefix `json:"prefix,omitzero"`
	Port   uint16       `json:"port,omitempty"`
	PortTo uint16       `json:"port_to,omitempty"`
	// PortBase is that of a shifted range (--to-destination 10.0.0.1:100-110/200).
	PortBase uint16 `json:"port_base,omitempty"`
	// AddrFrom and PortFrom give address and port where they are no constants: usually a map. A map whose data is an address
	// and a port is AddrFrom alone.
	AddrFrom *NfOperand `json:"addr_from,omitempty"`
	PortFrom *NfOperand `json:"port_from,omitempty"`
	Flags    []string   `json:"flags,omitempty"` // random, fully-random, persistent, netmap
	// Mark and MarkMask are tproxy's.
	Mark     uint32 `json:"mark,omitempty"`
	MarkMask uint32 `json:"mark_mask,omitempty"`
}

// NfAssign changes something: To := value. Value is a constant, or From (with its Mask, Xor, Shift).
// iptables' MARK --set-xmark v/m is To "meta mark", From "meta mark" with Mask ^m and Xor v; CONNMARK --save-mark is To "ct mark",
// From "meta mark".
type NfAssign struct {
	To    NfOperand  `json:"to"`
	Value *NfValue   `json:"value,omitempty"`
	From  *NfOperand `json:"from,omitempty"`
	// Keep is, for CONNMARK, the mask (hexadecimal) of the bits of To that stay: To := To & Keep ^ value.
	Keep string `json:"keep,omitempty"`
}

// NfLimit lets a rate pass; what is over does not match (or, with Over, the reverse).
type NfLimit struct {
	Rate  uint64 `json:"rate"`
	Unit  string `json:"unit"`            // packets, bytes
	Per   string `json:"per"`             // second, minute, hour, day, week
	Burst uint32 `json:"burst,omitempty"` // in Unit
	Over  bool   `json:"over,omitempty"`
	// Quota: no rate but a total (Rate bytes; Used so far).
	Quota bool   `json:"quota,omitempty"`
	Used  uint64 `json:"used,omitempty"`
	// Connections: no rate but how many (Rate) a key may have at once.
	Connections bool `json:"connections,omitempty"`
}

// NfReject drops and answers.
type NfReject struct {
	// With is the answer: "tcp-reset", or iptables' names of ICMP codes: "icmp-port-unreachable", "icmp6-adm-prohibited"; for inet
	// tables "icmpx-port-unreachable".
	With string `json:"with"`
}

// NfLog logs.
type NfLog struct {
	Prefix string `json:"prefix,omitempty" redact:"text"`
	// Group is NFLOG's, nil for the kernel's log.
	Group     *uint16  `json:"group,omitempty"`
	Level     string   `json:"level,omitempty"` // emerg … debug, audit
	Flags     []string `json:"flags,omitempty"`
	SnapLen   uint32   `json:"snaplen,omitempty"`
	Threshold uint16   `json:"threshold,omitempty"`
}

// NfUpdate adds to, updates or deletes from a set as packets pass.
type NfUpdate struct {
	Op  string    `json:"op"` // add, update, delete
	Set string    `json:"set"`
	Key NfOperand `json:"key"`
	// Timeout in milliseconds, 0 for the set's.
	Timeout uint64 `json:"timeout_ms,omitempty"`
	// Data is what a map gets.
	Data   *NfOperand `json:"data,omitempty"`
	Value  *NfValue   `json:"value,omitempty"`
	Exprs  []NfExpr   `json:"exprs,omitempty"`
	Invert bool       `json:"invert,omitempty"`
}

// NfAction is a step that is understood by name and does not decide what becomes of the packet.
type NfAction struct {
	// Name: notrack, counter (a named one), quota, limit, ct helper, ct timeout, ct expectation, flow add, checksum, tcpmss, classify, dup, fwd, ttl,
	// hl, dscp, tos, secmark, synproxy, trace, audit …
	Name string            `json:"name"`
	Opts map[string]string `json:"opts,omitempty" redact:"value"`
	// Key is looked up in the map of objects that Opts["map"] names, for which object it is.
	Key *NfOperand `json:"key,omitempty"`
}

// NfUnknown is an expression, match or target that is not understood, as the kernel said it.
type NfUnknown struct {
	// Kind: expr (nftables), match, target (xtables).
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Data are its bytes, hexadecimal: the attributes of NFTA_EXPR_DATA, or the structure after the xtables header.
	Data string `json:"data,omitempty" redact:"hex"`
}

// NfSet is a set or map.
type NfSet struct {
	Name   string `json:"name"`
	Handle uint64 `json:"handle,omitempty"`
	// Anonymous: written in braces in one rule.
	Anonymous bool `json:"anonymous,omitempty"`
	// KeyTypes are nft's names of the types of the key's parts: ipv4_addr, inet_service, ifname, mark …
	KeyTypes []string `json:"key_types"`
	// DataType is a map's, "verdict" for a map of verdicts; empty for a set.
	DataType []string `json:"data_types,omitempty"`
	Flags    []string `json:"flags"`                // constant, interval, timeout, dynamic (eval), concat
	Timeout  uint64   `json:"timeout_ms,omitempty"` // 0: none
	GC       uint64   `json:"gc_ms,omitempty"`
	Size     uint32   `json:"size,omitempty"`
	Policy   string   `json:"policy,omitempty"` // memory
	Comment  string   `json:"comment,omitempty" redact:"text"`
	Elements []NfElem `json:"elements"`
	// Cut tells that there are more elements than are read.
	Cut bool `json:"cut,omitempty"`
	// Exprs are those that each element has (a counter, a limit).
	Exprs []NfExpr `json:"exprs,omitempty"`
}

// NfElem is one element of a set or map.
type NfElem struct {
	Key     NfValue    `json:"key,omitzero"`
	Value   *NfValue   `json:"value,omitempty"`
	Verdict *NfVerdict `json:"verdict,omitempty"`
	// Object is the name of the object that an object map gives.
	Object  string   `json:"object,omitempty"`
	Timeout uint64   `json:"timeout_ms,omitempty"`
	Expires uint64   `json:"expires_ms,omitempty"`
	Comment string   `json:"comment,omitempty" redact:"text"`
	Exprs   []NfExpr `json:"exprs,omitempty"`
	// CatchAll is the element "*", which matches what no other does.
	CatchAll bool `json:"catchall,omitempty"`
}

// NfObject is a named object: counter, quota, limit, ct helper, ct timeout, ct expectation, secmark, synproxy, tunnel.
type NfObject struct {
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	Handle  uint64            `json:"handle,omitempty"`
	Counter *NfCounter        `json:"counter,omitempty"`
	Limit   *NfLimit          `json:"limit,omitempty"`
	Opts    map[string]string `json:"opts,omitempty" redact:"value"`
	Comment string            `json:"comment,omitempty" redact:"text"`
}

// NfFlowtable is a flowtable: packets of its connections pass by the rules.
type NfFlowtable struct {
	Name     string   `json:"name"`
	Handle   uint64   `json:"handle,omitempty"`
	Hook     string   `json:"hook"` // ingress
	Priority int32    `json:"priority"`
	Devices  []string `json:"devices"`
	Flags    []string `json:"flags"`
}
