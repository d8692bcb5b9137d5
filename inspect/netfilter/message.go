package netfilter

import (
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// decodeTable decodes NFT_MSG_NEWTABLE.
func decodeTable(b []byte) (family uint8, t snapshot.NfTable, ok bool) {
	if len(b) < nfgenLen {
		return 0, t, false
	}
	var use uint32
	family = b[0]
	t = snapshot.NfTable{
		Backend: snapshot.NfNft, Family: familyName(family), Flags: []string{}, Sets: []snapshot.NfSet{},
		Objects: []snapshot.NfObject{}, Flowtables: []snapshot.NfFlowtable{},
	}
	for a := nlwire.WalkAfter(b, nfgenLen); a.Next(); {
		switch a.Type {
		case nftaTableName:
			t.Name = string(nlwire.CStr(a.Val))
		case nftaTableHandle:
			t.Handle = nlwire.BE64(a.Val)
		case nftaTableFlags:
			flags := nlwire.BE32(a.Val)
			for i, name := range []string{"dormant", "owner", "persist"} {
				if flags&(1<<i) != 0 {
					t.Flags = append(t.Flags, name)
				}
			}
		case nftaTableUserdata:
			t.Comment = comment(a.Val)
		case nftaTableUse:
			use = nlwire.BE32(a.Val)
		}
	}
	t.Chains = make([]snapshot.NfChain, 0, min(use, 32)) // mostly what uses a table are its chains
	return family, t, t.Name != ""
}

func familyName(f uint8) string {
	if name, ok := familyNames[f]; ok {
		return name
	}
	return strconv.Itoa(int(f))
}

// The hooks of each family by number (linux/netfilter.h, netfilter_arp.h, netfilter_netdev.h).
var (
	hooksInet   = []string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}
	hooksARP    = []string{"input", "output", "forward"}
	hooksNetdev = []string{"ingress", "egress"}
)

func hookName(family uint8, n uint32) string {
	hooks := hooksInet
	switch family {
	case famARP:
		hooks = hooksARP
	case famNetdev:
		hooks = hooksNetdev
	}
	if int(n) < len(hooks) {
		return hooks[n]
	}
	return strconv.Itoa(int(n))
}

// decodeChain decodes NFT_MSG_NEWCHAIN.
//
// use is how many rules it has, with those that jump to it.
func decodeChain(b []byte) (table tableKey, c snapshot.NfChain, use uint32, ok bool) {
	if len(b) < nfgenLen {
		return table, c, 0, false
	}
	table.family = b[0]
	c.Rules = []snapshot.NfRule{}
	policy := uint32(verdictAccept)
	for a := nlwire.WalkAfter(b, nfgenLen); a.Next(); {
		switch a.Type {
		case nftaChainTable:
			table.name = string(nlwire.CStr(a.Val))
		case nftaChainName:
			c.Name = string(nlwire.CStr(a.Val))
		case nftaChainHandle:
			c.Handle = nlwire.BE64(a.Val)
		case nftaChainUse:
			use = nlwire.BE32(a.Val)
		case nftaChainType:
			c.Type = string(nlwire.CStr(a.Val))
		case nftaChainPolicy:
			policy = nlwire.BE32(a.Val)
		case nftaChainCounters:
			n := counter(a.Val)
			c.Counter = &n
		case nftaChainFlags:
			flags := nlwire.BE32(a.Val)
			if flags&2 != 0 {
				c.Flags = append(c.Flags, "hw_offload")
			}
			if flags&4 != 0 {
				c.Flags = append(c.Flags, "binding")
			}
		case nftaChainUserdata:
			c.Comment = comment(a.Val)
		case nftaChainHook:
			for in := nlwire.Walk(a.Val); in.Next(); {
				switch in.Type {
				case nftaHookHooknum:
					c.Hook = hookName(table.family, nlwire.BE32(in.Val))
				case nftaHookPriority:
					c.Priority = int32(nlwire.BE32(in.Val))
				case nftaHookDev:
					if len(c.Devices) == 0 {
						c.Devices = []string{string(nlwire.CStr(in.Val))}
					}
				case nftaHookDevs:
					c.Devices = devices(in.Val)
				}
			}
		}
	}
	if c.Hook != "" {
		switch policy {
		case verdictDrop:
			c.Policy = "drop"
		case verdictAccept:
			c.Policy = "accept"
		}
	}
	return table, c, use, c.Name != ""
}

// devices reads a list of NFTA_DEVICE_NAME; a prefix ends with "*".
func devices(b []byte) []string {
	out := []string{}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaDeviceName:
			out = append(out, string(nlwire.CStr(a.Val)))
		case nftaDevicePrefix:
			out = append(out, string(nlwire.CStr(a.Val))+"*")
		}
	}
	return out
}

// ruleHead is what of a rule says where it belongs. Its bytes are the message's.
type ruleHead struct {
	family       uint8
	table, chain []byte
	handle       uint64
	exprs, udata []byte
}

// decodeRuleHead decodes NFT_MSG_NEWRULE but for the expressions, which a [machine] runs.
func decodeRuleHead(b []byte) (h ruleHead, ok bool) {
	if len(b) < nfgenLen {
		return h, false
	}
	h.family = b[0]
	for a := nlwire.WalkAfter(b, nfgenLen); a.Next(); {
		switch a.Type {
		case nftaRuleTable:
			h.table = nlwire.CStr(a.Val)
		case nftaRuleChain:
			h.chain = nlwire.CStr(a.Val)
		case nftaRuleHandle:
			h.handle = nlwire.BE64(a.Val)
		case nftaRuleExpressions:
			h.exprs = a.Val
		case nftaRuleUserdata:
			h.udata = a.Val
		}
	}
	return h, len(h.chain) > 0
}

// decodeObject decodes NFT_MSG_NEWOBJ.
func decodeObject(b []byte) (table tableKey, o snapshot.NfObject, ok bool) {
	if len(b) < nfgenLen {
		return table, o, false
	}
	table.family = b[0]
	var data []byte
	var typ uint32
	for a := nlwire.WalkAfter(b, nfgenLen); a.Next(); {
		switch a.Type {
		case nftaObjTable:
			table.name = string(nlwire.CStr(a.Val))
		case nftaObjName:
			o.Name = string(nlwire.CStr(a.Val))
		case nftaObjType:
			typ = nlwire.BE32(a.Val)
		case nftaObjHandle:
			o.Handle = nlwire.BE64(a.Val)
		case nftaObjUserdata:
			o.Comment = comment(a.Val)
		case nftaObjData:
			data = a.Val
		}
	}
	o.Type = objectTypes[typ]
	switch o.Type {
	case "counter":
		n := counter(data)
		o.Counter = &n
	case "quota":
		o.Limit = quota(data)
	case "limit":
		o.Limit, _ = limit(data)
	case "connlimit":
		o.Limit = connlimit(data)
	case "synproxy":
		o.Opts = synproxy(data).Opts
	case "ct helper", "ct timeout", "ct expectation", "secmark":
		o.Opts = objectOpts(o.Type, data)
	case "":
		o.Type = strconv.Itoa(int(typ))
	}
	return table, o, o.Name != ""
}

// objectOpts reads what objects of connection tracking, and security marks, are made of.
func objectOpts(typ string, b []byte) map[string]string {
	opts := map[string]string{}
	l3 := func(v uint16) { opts["l3proto"] = familyName(uint8(v)) }
	l4 := func(v uint8) { opts["protocol"] = strconv.Itoa(int(v)) }
	for a := nlwire.Walk(b); a.Next(); {
		switch typ {
		case "secmark":
			if a.Type == nftaSecmarkCtx {
				opts["context"] = string(nlwire.CStr(a.Val))
			}
		case "ct helper":
			switch a.Type {
			case nftaCtHelperName:
				opts["type"] = string(nlwire.CStr(a.Val))
			case nftaCtHelperL3proto:
				l3(nlwire.BE16(a.Val))
			case nftaCtHelperL4proto:
				l4(nlwire.U8(a.Val))
			}
		case "ct timeout":
			switch a.Type {
			case nftaCtTimeoutL3proto:
				l3(nlwire.BE16(a.Val))
			case nftaCtTimeoutL4proto:
				l4(nlwire.U8(a.Val))
			case nftaCtTimeoutData:
				for in := nlwire.Walk(a.Val); in.Next(); {
					opts["policy."+strconv.Itoa(int(in.Type))] = strconv.Itoa(int(nlwire.BE32(in.Val)))
				}
			}
		case "ct expectation":
			switch a.Type {
			case nftaCtExpectL3proto:
				l3(nlwire.BE16(a.Val))
			case nftaCtExpectL4proto:
				l4(nlwire.U8(a.Val))
			case nftaCtExpectDport:
				opts["dport"] = strconv.Itoa(int(nlwire.BE16(a.Val)))
			case nftaCtExpectTimeout:
				opts["timeout"] = strconv.Itoa(int(nlwire.U32(a.Val)))
			case nftaCtExpectSize:
				opts["size"] = strconv.Itoa(int(nlwire.U8(a.Val)))
			}
		}
	}
	return opts
}

// decodeFlowtable decodes NFT_MSG_NEWFLOWTABLE.
func decodeFlowtable(b []byte) (table tableKey, f snapshot.NfFlowtable, ok bool) {
	if len(b) < nfgenLen {
		return table, f, false
	}
	table.family = b[0]
	f.Devices, f.Flags = []string{}, []string{}
	for a := nlwire.WalkAfter(b, nfgenLen); a.Next(); {
		switch a.Type {
		case nftaFlowtableTable:
			table.name = string(nlwire.CStr(a.Val))
		case nftaFlowtableName:
			f.Name = string(nlwire.CStr(a.Val))
		case nftaFlowtableHandle:
			f.Handle = nlwire.BE64(a.Val)
		case nftaFlowtableFlags:
			flags := nlwire.BE32(a.Val)
			for i, name := range []string{"offload", "counter"} {
				if flags&(1<<i) != 0 {
					f.Flags = append(f.Flags, name)
				}
			}
		case nftaFlowtableHook:
			for in := nlwire.Walk(a.Val); in.Next(); {
				switch in.Type {
				case nftaFlowtableHookNum:
					f.Hook = hookName(famNetdev, nlwire.BE32(in.Val))
				case nftaFlowtableHookPriority:
					f.Priority = int32(nlwire.BE32(in.Val))
				case nftaFlowtableHookDevs:
					f.Devices = devices(in.Val)
				}
			}
		}
	}
	return table, f, f.Name != ""
}
