package spell

import (
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// NftTable gives a table and all in it as elements of nft's "nftables" array, in nft's order: the table, its objects, sets and
// maps with their elements, flowtables, chains, and the rules of each.
func NftTable(t *snapshot.NfTable, names Names) []any {
	s := newSpeller(t, names)
	in := obj{"family": t.Family, "name": t.Name, "handle": t.Handle}
	if f := flags(t.Flags); f != nil {
		in["flags"] = f
	}
	if t.Comment != "" {
		in["comment"] = t.Comment
	}
	out := []any{obj{"table": in}}
	for i := range t.Objects {
		out = append(out, s.object(t, &t.Objects[i]))
	}
	for i := range t.Sets {
		if !t.Sets[i].Anonymous {
			out = append(out, s.set(t, &t.Sets[i]))
		}
	}
	for i := range t.Flowtables {
		out = append(out, flowtable(t, &t.Flowtables[i]))
	}
	for i := range t.Chains {
		out = append(out, chain(t, &t.Chains[i]))
	}
	for i := range t.Chains {
		c := &t.Chains[i]
		for j := range c.Rules {
			r := &c.Rules[j]
			in := obj{"family": t.Family, "table": t.Name, "chain": c.Name, "handle": r.Handle, "expr": s.rule(t, r)}
			if r.Comment != "" {
				in["comment"] = r.Comment
			}
			out = append(out, obj{"rule": in})
		}
	}
	return out
}

func chain(t *snapshot.NfTable, c *snapshot.NfChain) any {
	in := obj{"family": t.Family, "table": t.Name, "name": c.Name, "handle": c.Handle}
	if c.Comment != "" {
		in["comment"] = c.Comment
	}
	if c.Hook != "" {
		in["type"], in["hook"], in["prio"], in["policy"] = c.Type, c.Hook, c.Priority, c.Policy
	}
	if len(c.Devices) > 0 {
		in["dev"] = flags(c.Devices)
	}
	return obj{"chain": in}
}

func (s *speller) set(t *snapshot.NfTable, set *snapshot.NfSet) any {
	in := obj{"family": t.Family, "name": set.Name, "table": t.Name, "type": flags(set.KeyTypes), "handle": set.Handle}
	kind := "set"
	if len(set.DataType) > 0 {
		kind = "map"
		in["map"] = strings.Join(set.DataType, " . ")
	}
	var f []string
	for _, name := range set.Flags {
		if name != "concat" {
			f = append(f, name)
		}
	}
	if len(f) > 0 {
		in["flags"] = anys(f)
	}
	if set.Comment != "" {
		in["comment"] = set.Comment
	}
	if set.Timeout != 0 {
		in["timeout"] = set.Timeout / 1000
	}
	if set.GC != 0 {
		in["gc-interval"] = set.GC / 1000
	}
	if set.Size != 0 {
		in["size"] = set.Size
	}
	if set.Policy != "" {
		in["policy"] = set.Policy
	}
	if e := s.elems(set); len(e) > 0 {
		in["elem"] = e
	}
	if stmts := s.perElement(set.Exprs); len(stmts) > 0 {
		in["stmt"] = stmts
	}
	return obj{kind: in}
}

func flowtable(t *snapshot.NfTable, f *snapshot.NfFlowtable) any {
	in := obj{"family": t.Family, "name": f.Name, "table": t.Name, "handle": f.Handle, "hook": f.Hook, "prio": f.Priority}
	if len(f.Devices) > 0 {
		in["dev"] = flags(f.Devices)
	}
	return obj{"flowtable": in}
}

// ctTimeouts are the names of the states of a connection, by the protocol's number and the attribute's (enum
// ctattr_timeout_tcp, ctattr_timeout_udp).
var ctTimeouts = map[string]map[string]string{
	"6": {
		"1": "syn_sent", "2": "syn_recv", "3": "established", "4": "fin_wait", "5": "close_wait", "6": "last_ack", "7": "time_wait", "8": "close",
		"9": "syn_sent2", "10": "retrans", "11": "unack",
	},
	"17": {"1": "unreplied", "2": "replied"},
}

// ctDefaults are what nft does not list, for the kernel has it by itself, in seconds.
var ctDefaults = map[string]map[string]uint64{
	"6": {
		"syn_sent": 120, "syn_recv": 60, "established": 432000, "fin_wait": 120, "close_wait": 60, "last_ack": 30, "time_wait": 120, "close": 10,
		"syn_sent2": 120, "retrans": 300, "unack": 300,
	},
	"17": {"unreplied": 30, "replied": 180},
}

func (s *speller) object(t *snapshot.NfTable, o *snapshot.NfObject) any {
	in := obj{"family": t.Family, "name": o.Name, "table": t.Name, "handle": o.Handle}
	if o.Comment != "" {
		in["comment"] = o.Comment
	}
	num := func(to, from string) {
		if n, err := strconv.ParseUint(o.Opts[from], 10, 64); err == nil {
			in[to] = n
		}
	}
	proto := func() {
		if n, err := strconv.ParseUint(o.Opts["protocol"], 10, 8); err == nil {
			in["protocol"] = s.names.word("inet_proto", n)
		}
		if l3 := o.Opts["l3proto"]; l3 != "" {
			in["l3proto"] = l3
		}
	}
	switch o.Type {
	case "counter":
		in["packets"], in["bytes"] = o.Counter.Packets, o.Counter.Bytes
	case "quota":
		in["bytes"], in["used"], in["inv"] = o.Limit.Rate, o.Limit.Used, o.Limit.Over
	case "limit":
		for k, v := range limit(o.Limit).(obj)["limit"].(obj) {
			in[k] = v
		}
	case "ct helper":
		in["type"] = o.Opts["type"]
		proto()
	case "ct timeout":
		proto()
		policy := obj{}
		for k, v := range o.Opts {
			attr, ok := strings.CutPrefix(k, "policy.")
			n, err := strconv.ParseUint(v, 10, 64)
			if name := ctTimeouts[o.Opts["protocol"]][attr]; ok && err == nil && name != "" && ctDefaults[o.Opts["protocol"]][name] != n {
				policy[name] = n
			}
		}
		in["policy"] = policy
	case "ct expectation":
		proto()
		num("dport", "dport")
		num("timeout", "timeout")
		num("size", "size")
	case "secmark":
		in["context"] = o.Opts["context"]
	case "synproxy":
		if v, ok := synproxy(o.Opts).(obj); ok {
			for k, w := range v {
				in[k] = w
			}
		}
	}
	return obj{o.Type: in}
}
