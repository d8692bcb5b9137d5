package spell

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

func (s *speller) nat(n *snapshot.NfNAT) any {
	in := obj{}
	var f []string
	netmap := false
	for _, name := range n.Flags {
		if name == "netmap" {
			netmap = true
		}
		f = append(f, name)
	}
	if v := flags(f); v != nil {
		in["flags"] = v
	}
	switch {
	case n.Prefix.IsValid():
		in["addr"] = obj{"prefix": obj{"addr": n.Prefix.Addr().String(), "len": n.Prefix.Bits()}}
	case n.Addr.IsValid() && n.AddrTo.IsValid():
		in["addr"] = obj{"range": []any{n.Addr.String(), n.AddrTo.String()}}
	case n.Addr.IsValid():
		in["addr"] = n.Addr.String()
	case n.AddrFrom != nil:
		in["addr"] = s.operand(n.AddrFrom)
	}
	switch {
	case n.PortFrom != nil:
		in["port"] = s.operand(n.PortFrom)
	case n.PortTo != 0:
		in["port"] = obj{"range": []any{n.Port, n.PortTo}}
	case n.Port != 0:
		in["port"] = n.Port
	}
	if netmap {
		in["type_flags"] = "prefix"
	}
	if s.mixed && n.Family != "" && (len(in) > 0 || n.Kind == "tproxy") {
		in["family"] = n.Family
	}
	if len(in) == 0 {
		return obj{n.Kind: nil}
	}
	return obj{n.Kind: in}
}

func (s *speller) assigned(a *snapshot.NfAssign) any {
	if a.From != nil {
		return s.operand(a.From)
	}
	t := typeOf(&a.To)
	if bitmasks[t] {
		return s.bits(t, a.Value, "")
	}
	return s.value(t, a.Value)
}

// byteUnit is a number of bytes in the largest unit that it is a whole number of.
func byteUnit(n uint64) (uint64, string) {
	for _, u := range []string{"bytes", "kbytes"} {
		if n == 0 || n%1024 != 0 {
			return n, u
		}
		n /= 1024
	}
	return n, "mbytes"
}

func limit(l *snapshot.NfLimit) any {
	in := obj{}
	if l.Over {
		in["inv"] = true
	}
	switch {
	case l.Connections:
		in["val"] = l.Rate
		return obj{"ct count": in}
	case l.Quota:
		in["val"], in["val_unit"] = byteUnit(l.Rate)
		if l.Used != 0 {
			in["used"], in["used_unit"] = byteUnit(l.Used)
		}
		return obj{"quota": in}
	}
	in["rate"], in["per"] = l.Rate, l.Per
	if l.Unit == "bytes" {
		in["rate"], in["rate_unit"] = byteUnit(l.Rate)
		in["burst"], in["burst_unit"] = byteUnit(uint64(l.Burst))
	} else if l.Burst != 0 {
		in["burst"] = l.Burst
	}
	return obj{"limit": in}
}

func nftReject(r *snapshot.NfReject) any {
	if r.With == "tcp-reset" {
		return obj{"type": "tcp reset"}
	}
	kind, code, _ := strings.Cut(r.With, "-")
	switch r.With {
	case "icmp-proto-unreachable":
		code = "prot-unreachable"
	case "icmp6-adm-prohibited":
		code = "admin-prohibited"
	}
	return obj{"type": strings.Replace(kind, "icmp6", "icmpv6", 1), "expr": code}
}

func logStep(l *snapshot.NfLog) any {
	in := obj{}
	if l.Prefix != "" {
		in["prefix"] = l.Prefix
	}
	if l.Group != nil {
		in["group"] = *l.Group
	} else if l.Level != "" && l.Level != "warn" {
		in["level"] = l.Level
	}
	if l.SnapLen != 0 {
		in["snaplen"] = l.SnapLen
	}
	if l.Threshold != 0 {
		in["queue-threshold"] = l.Threshold
	}
	if len(l.Flags) == 5 {
		in["flags"] = "all"
	} else if f := flags(l.Flags); f != nil {
		in["flags"] = f
	}
	if len(in) == 0 {
		return nil
	}
	return in
}

// perElement spells what each element of a set gets for its own: there is no count yet.
func (s *speller) perElement(exprs []snapshot.NfExpr) (stmts []any) {
	for i := range exprs {
		if exprs[i].Counter != nil {
			stmts = append(stmts, obj{"counter": nil})
		} else {
			stmts = append(stmts, s.expr(&exprs[i])...)
		}
	}
	return stmts
}

func (s *speller) update(u *snapshot.NfUpdate) any {
	elem := s.operand(&u.Key)
	if u.Timeout != 0 {
		elem = obj{"elem": obj{"val": elem, "timeout": u.Timeout / 1000}}
	}
	stmts := s.perElement(u.Exprs)
	in := obj{"op": u.Op}
	if len(stmts) > 0 {
		in["stmt"] = stmts
	}
	if u.Data == nil && u.Value == nil {
		in["elem"], in["set"] = elem, "@"+u.Set
		return obj{"set": in}
	}
	in["elem"], in["map"] = elem, "@"+u.Set
	if u.Data != nil {
		in["data"] = s.operand(u.Data)
	} else {
		t := ""
		if set := s.sets[u.Set]; set != nil {
			t = strings.Join(set.DataType, " . ")
		}
		in["data"] = s.value(t, u.Value)
	}
	return obj{"map": in}
}

func (s *speller) action(a *snapshot.NfAction) any {
	switch a.Name {
	case "notrack":
		return obj{"notrack": nil}
	case "last":
		if a.Opts["used_ms"] == "" {
			return obj{"last": nil}
		}
		n, _ := strconv.ParseUint(a.Opts["used_ms"], 10, 64)
		return obj{"last": obj{"used": n}}
	case "flow add":
		return obj{"flow": obj{"op": "add", "flowtable": "@" + a.Opts["flowtable"]}}
	case "dup", "fwd":
		in := obj{}
		dev, to := a.Opts["device"], a.Opts["to"]
		if n, err := strconv.ParseUint(dev, 10, 31); err == nil {
			dev = fmt.Sprint(s.names.word("iface_index", n))
		}
		switch {
		case a.Name == "dup" && to == "":
			in["addr"] = dev // nft has one name for the first of both
		case a.Name == "dup":
			in["addr"] = to
			if dev != "" {
				in["dev"] = dev
			}
		default:
			in["dev"] = dev
			if to != "" {
				in["addr"], in["family"] = to, a.Opts["family"]
			}
		}
		return obj{a.Name: in}
	case "reset tcpopt":
		return obj{"reset": obj{"tcp option": obj{"name": a.Opts["option"]}}}
	case "synproxy":
		if a.Opts["name"] == "" {
			return obj{"synproxy": synproxy(a.Opts)}
		}
	}
	if a.Key != nil {
		return obj{a.Name: obj{"map": obj{"key": s.operand(a.Key), "data": s.setRef(a.Opts["map"])}}}
	}
	if name := a.Opts["name"]; name != "" {
		return obj{a.Name: name}
	}
	in := obj{}
	for k, v := range a.Opts {
		in[k] = v
	}
	return obj{a.Name: in}
}

func synproxy(opts map[string]string) any {
	in := obj{}
	for _, k := range []string{"mss", "wscale"} {
		if n, err := strconv.Atoi(opts[k]); err == nil {
			in[k] = n
		}
	}
	var f []string
	for _, k := range []string{"timestamp", "sack-perm"} {
		if opts[k] != "" {
			f = append(f, k)
		}
	}
	if v := flags(f); v != nil {
		in["flags"] = v
	}
	if len(in) == 0 {
		return nil
	}
	return in
}
