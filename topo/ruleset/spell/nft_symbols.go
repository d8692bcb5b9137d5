package spell

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// symbols are nft's words for numbers, by the type's name.
var symbols = map[string]map[uint64]string{
	"ct_state":   {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"},
	"ct_status":  {1: "expected", 2: "seen-reply", 4: "assured", 8: "confirmed", 16: "snat", 32: "dnat", 512: "dying"},
	"ct_dir":     {0: "original", 1: "reply"},
	"tcp_flag":   {1: "fin", 2: "syn", 4: "rst", 8: "psh", 16: "ack", 32: "urg", 64: "ecn", 128: "cwr"},
	"pkt_type":   {0: "host", 1: "broadcast", 2: "multicast", 3: "other"},
	"nf_proto":   {2: "ipv4", 10: "ipv6"},
	"ether_type": {0x0800: "ip", 0x0806: "arp", 0x86dd: "ip6", 0x8100: "8021q", 0x88a8: "8021ad"},
	"arp_op":     {1: "request", 2: "reply", 3: "rrequest", 4: "rreply", 8: "inrequest", 9: "inreply", 10: "nak"},
	"ecn":        {0: "not-ect", 1: "ect1", 2: "ect0", 3: "ce"},
	"iface_type": {1: "ether", 512: "ppp", 768: "ipip", 769: "ipip6", 772: "loopback", 776: "sit", 778: "ipgre"},
	"fib_addrtype": {
		0: "unspec", 1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable", 8: "prohibit",
	},
	"day": {0: "Sunday", 1: "Monday", 2: "Tuesday", 3: "Wednesday", 4: "Thursday", 5: "Friday", 6: "Saturday"},
	"inet_proto": {
		1: "icmp", 2: "igmp", 4: "ipencap", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp",
		88: "eigrp", 89: "ospf", 94: "ipip", 103: "pim", 108: "ipcomp", 112: "vrrp", 115: "l2tp", 132: "sctp", 136: "udplite",
	},
	"icmp_type": {
		0: "echo-reply", 3: "destination-unreachable", 4: "source-quench", 5: "redirect", 8: "echo-request", 9: "router-advertisement",
		10: "router-solicitation", 11: "time-exceeded", 12: "parameter-problem", 13: "timestamp-request", 14: "timestamp-reply",
		15: "info-request", 16: "info-reply", 17: "address-mask-request", 18: "address-mask-reply",
	},
	"icmp_code": {
		0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable", 4: "frag-needed", 9: "net-prohibited",
		10: "host-prohibited", 13: "admin-prohibited",
	},
	"icmpv6_type": {
		1: "destination-unreachable", 2: "packet-too-big", 3: "time-exceeded", 4: "parameter-problem", 128: "echo-request", 129: "echo-reply",
		130: "mld-listener-query", 131: "mld-listener-report", 132: "mld-listener-done", 133: "nd-router-solicit", 134: "nd-router-advert",
		135: "nd-neighbor-solicit", 136: "nd-neighbor-advert", 137: "nd-redirect", 138: "router-renumbering", 141: "ind-neighbor-solicit",
		142: "ind-neighbor-advert", 143: "mld2-listener-report",
	},
	"icmpv6_code": {
		0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable", 5: "policy-fail", 6: "reject-route",
	},
	"igmp_type": {
		0x11: "membership-query", 0x12: "membership-report-v1", 0x16: "membership-report-v2", 0x17: "leave-group", 0x22: "membership-report-v3",
	},
	"dscp": {
		0: "cs0", 8: "cs1", 16: "cs2", 24: "cs3", 32: "cs4", 40: "cs5", 48: "cs6", 56: "cs7", 1: "lephb", 10: "af11", 12: "af12", 14: "af13",
		18: "af21", 20: "af22", 22: "af23", 26: "af31", 28: "af32", 30: "af33", 34: "af41", 36: "af42", 38: "af43", 44: "va", 46: "ef",
	},
	"mh_type": {
		0: "binding-refresh-request", 1: "home-test-init", 2: "careof-test-init", 3: "home-test", 4: "careof-test", 5: "binding-update",
		6: "binding-acknowledgement", 7: "binding-error", 8: "fast-binding-update", 9: "fast-binding-acknowledgement",
		10: "fast-binding-advertisement", 11: "experimental-mobility-header", 12: "home-agent-switch-message",
	},
	"dccp_pkttype": {
		0: "request", 1: "response", 2: "data", 3: "ack", 4: "dataack", 5: "closereq", 6: "close", 7: "reset", 8: "sync", 9: "syncack",
	},
	"devgroup": {0: "default"},
	"ct_event": {
		1: "new", 2: "related", 4: "destroy", 8: "reply", 16: "assured", 32: "protoinfo", 64: "helper", 128: "mark", 256: "seqadj",
		512: "secmark", 1024: "label",
	},
}

// bitmasks are the types whose values are several bits.
var bitmasks = map[string]bool{"ct_state": true, "ct_status": true, "tcp_flag": true, "ct_event": true, "ct_label": true}

// types are those of operands: "kind key".
var types = map[string]string{
	"meta protocol": "ether_type", "meta iif": "iface_index", "meta oif": "iface_index", "meta iiftype": "iface_type",
	"meta oiftype": "iface_type", "meta nfproto": "nf_proto", "meta l4proto": "inet_proto", "meta pkttype": "pkt_type", "meta day": "day",
	"meta hour": "hour", "meta time": "time", "meta priority": "classid", "meta rtclassid": "realm", "meta iifgroup": "devgroup", "meta oifgroup": "devgroup",
	"meta ibrvproto": "ether_type", "meta sdif": "iface_index", "meta secpath": "boolean",
	"ct state": "ct_state", "ct status": "ct_status", "ct direction": "ct_dir", "ct l3proto": "nf_proto", "ct protocol": "inet_proto",
	"ct expiration": "ms", "ct event": "ct_event", "ct label": "ct_label",
	"rt classid": "realm", "rt ipsec": "boolean",
	"payload ether type": "ether_type", "payload vlan type": "ether_type", "payload arp operation": "arp_op", "payload arp ptype": "ether_type",
	"payload ip protocol": "inet_proto", "payload ip dscp": "dscp", "payload ip ecn": "ecn", "payload ip6 nexthdr": "inet_proto", "payload ip6 dscp": "dscp",
	"payload ip6 ecn": "ecn", "payload icmp type": "icmp_type", "payload icmp code": "icmp_code", "payload icmpv6 type": "icmpv6_type",
	"payload icmpv6 code": "icmpv6_code", "payload igmp type": "igmp_type", "payload tcp flags": "tcp_flag", "payload dccp type": "dccp_pkttype", "payload ah nexthdr": "inet_proto",
	"payload comp nexthdr": "inet_proto", "exthdr mh type": "mh_type", "exthdr mh nexthdr": "inet_proto", "exthdr hbh nexthdr": "inet_proto", "exthdr rt nexthdr": "inet_proto",
	"exthdr frag nexthdr": "inet_proto", "exthdr dst nexthdr": "inet_proto",
}

// typeOf is nft's name of an operand's type, where words stand for its values.
func typeOf(op *snapshot.NfOperand) string {
	if t := types[op.Kind+" "+op.Key]; t != "" {
		return t
	}
	if _, key, _ := strings.Cut(op.Key, " "); op.Kind == "inner" {
		if meta, ok := strings.CutPrefix(key, "meta "); ok {
			return types["meta "+meta]
		}
		return types["payload "+key]
	}
	if n := len(op.Key); n > 7 && op.Key[n-7:] == " exists" {
		return "boolean"
	}
	if op.Kind == "fib" && len(op.Key) > 5 {
		switch {
		case op.Key[len(op.Key)-5:] == " type":
			return "fib_addrtype"
		case op.Key[len(op.Key)-4:] == " oif":
			return "iface_index"
		}
	}
	return ""
}

// Names are what numbers of the namespace stand for.
type Names struct {
	// Link gives the name of an interface by its index; "" where there is none. Nil: none is known.
	Link func(index int) string
}

// word is a number as nft writes it in this type.
func (n Names) word(t string, v uint64) any {
	if s, ok := symbols[t][v]; ok {
		if t == "day" {
			return inQuotes(s)
		}
		return s
	}
	switch t {
	case "iface_index":
		if n.Link != nil {
			if name := n.Link(int(v)); name != "" {
				return inQuotes(name)
			}
		}
		return strconv.FormatUint(v, 10)
	case "realm":
		return strconv.FormatUint(v, 10)
	case "classid":
		switch {
		case v == 0:
			return "none"
		case v == 0xffffffff:
			return "root"
		}
		return fmt.Sprintf("%x:%x", v>>16, v&0xffff)
	case "boolean":
		return v != 0
	case "ms":
		return seconds(v / 1000)
	case "hour":
		v %= 86400
		if v%60 != 0 {
			return inQuotes(fmt.Sprintf("%02d:%02d:%02d", v/3600, v/60%60, v%60))
		}
		return inQuotes(fmt.Sprintf("%02d:%02d", v/3600, v/60%60))
	}
	return v
}
