package netfilter

import (
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// loads are the expressions that fill a register, but for those that [machine.expr] names itself.
var loads = map[string]func(m *machine, i int, b []byte) bool{
	"fib": (*machine).fib, "rt": (*machine).rt, "socket": (*machine).socket, "numgen": (*machine).numgen, "hash": (*machine).hash,
	"osf": (*machine).osf, "xfrm": (*machine).xfrm, "tunnel": (*machine).tunnel, "exthdr": (*machine).exthdr, "inner": (*machine).inner,
}

var fibFlags = []string{"saddr", "daddr", "mark", "iif", "oif"}

// fib decodes fib: what the routing table says.
func (m *machine) fib(i int, b []byte) bool {
	var dreg, result, flags uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaFibDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaFibResult:
			result = nlwire.BE32(a.Val)
		case nftaFibFlags:
			flags = nlwire.BE32(a.Val)
		}
	}
	v := value{typ: vNum, host: true, n: 4, src: oneExpr(i)}
	var words []string
	for j, name := range fibFlags {
		if flags&(1<<j) != 0 {
			words = append(words, name)
		}
	}
	const present = 1 << 5
	if flags&^(present<<1-1) != 0 {
		return false
	}
	key := strings.Join(words, " . ")
	switch result {
	case 1:
		key += " oif"
	case 2:
		key += " oifname"
		v.typ, v.n = vName, 16
	case 3:
		key += " type"
	default:
		return false
	}
	if flags&present != 0 {
		key += " exists"
		v.typ = vNum
	}
	v.op = snapshot.NfOperand{Kind: "fib", Key: key}
	return m.store(dreg, v)
}

var rtKeys = [...]known{
	{"classid", vNum, 4, true}, {"ip nexthop", vIP4, 4, false}, {"ip6 nexthop", vIP6, 16, false}, {"mtu", vNum, 2, true}, {"ipsec", vNum, 1, true},
}

func (m *machine) rt(i int, b []byte) bool {
	var dreg, key uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaRtDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaRtKey:
			key = nlwire.BE32(a.Val)
		}
	}
	return int(key) < len(rtKeys) && m.storeKnown(i, dreg, "rt", &rtKeys[key])
}

func (m *machine) storeKnown(i int, dreg uint32, kind string, k *known) bool {
	return m.store(dreg, value{op: snapshot.NfOperand{Kind: kind, Key: k.name}, typ: k.typ, host: k.host, n: k.n, src: oneExpr(i)})
}

var socketKeys = [...]known{
	{"transparent", vNum, 1, true}, {"mark", vNum, 4, true}, {"wildcard", vNum, 1, true}, {"cgroupv2", vNum, 8, true},
}

func (m *machine) socket(i int, b []byte) bool {
	var dreg, key, level uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaSocketDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaSocketKey:
			key = nlwire.BE32(a.Val)
		case nftaSocketLevel:
			level = nlwire.BE32(a.Val)
		}
	}
	if int(key) >= len(socketKeys) {
		return false
	}
	k := &socketKeys[key]
	op := snapshot.NfOperand{Kind: "socket", Key: k.name}
	if k.name == "cgroupv2" {
		op.Len = int(level) // the level of the cgroup above which is asked for
	}
	return m.store(dreg, value{op: op, typ: k.typ, host: k.host, n: k.n, src: oneExpr(i)})
}

func (m *machine) numgen(i int, b []byte) bool {
	var dreg, typ uint32
	op := snapshot.NfOperand{Kind: "numgen"}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaNgDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaNgType:
			typ = nlwire.BE32(a.Val)
		case nftaNgModulus:
			op.Mod = nlwire.BE32(a.Val)
		case nftaNgOffset:
			op.Add = nlwire.BE32(a.Val)
		}
	}
	if typ > 1 {
		return false
	}
	op.Key = [...]string{"inc", "random"}[typ]
	return m.store(dreg, value{op: op, typ: vNum, host: true, n: 4, src: oneExpr(i)})
}

func (m *machine) hash(i int, b []byte) bool {
	var dreg, sreg, n, typ uint32
	op := snapshot.NfOperand{Kind: "hash"}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaHashDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaHashSreg:
			sreg = nlwire.BE32(a.Val)
		case nftaHashLen:
			n = nlwire.BE32(a.Val)
		case nftaHashType:
			typ = nlwire.BE32(a.Val)
		case nftaHashModulus:
			op.Mod = nlwire.BE32(a.Val)
		case nftaHashOffset:
			op.Add = nlwire.BE32(a.Val)
		case nftaHashSeed:
			op.Seed = nlwire.BE32(a.Val)
		}
	}
	v := value{typ: vNum, host: true, n: 4, src: oneExpr(i)}
	switch typ {
	case 0:
		if n == 0 || n > 64 {
			return false
		}
		key, used, ok := m.key(sreg, &set{keyLen: int(n), keys: make([]part, 1)})
		if !ok {
			return false
		}
		op.Key, op.Parts = "jhash", []snapshot.NfOperand{key}
		if key.Kind == "concat" {
			op.Parts = key.Parts
		}
		v.src = v.src.and(used).and(m.extra)
		m.extra = exprSet{}
	case 1:
		op.Key = "symhash"
	default:
		return false
	}
	v.op = op
	return m.store(dreg, v)
}

func (m *machine) osf(i int, b []byte) bool {
	var dreg, flags uint32
	op := snapshot.NfOperand{Kind: "osf", Key: "name"}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaOsfDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaOsfFlags:
			flags = nlwire.BE32(a.Val)
		case nftaOsfTtl:
			switch nlwire.U8(a.Val) {
			case 0:
			case 1:
				op.Opts = map[string]string{"ttl": "loose"}
			case 2:
				op.Opts = map[string]string{"ttl": "skip"}
			default:
				return false
			}
		}
	}
	if flags&1 != 0 {
		op.Key = "version"
	}
	return m.store(dreg, value{op: op, typ: vText, host: true, n: 16, src: oneExpr(i)})
}

var xfrmKeys = [...]known{
	{}, {"ip daddr", vIP4, 4, false}, {"ip6 daddr", vIP6, 16, false}, {"ip saddr", vIP4, 4, false}, {"ip6 saddr", vIP6, 16, false},
	{"reqid", vNum, 4, true}, {"spi", vNum, 4, false},
}

func (m *machine) xfrm(i int, b []byte) bool {
	var dreg, key, spnum uint32
	dir := uint8(255)
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaXfrmDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaXfrmKey:
			key = nlwire.BE32(a.Val)
		case nftaXfrmDir:
			dir = nlwire.U8(a.Val)
		case nftaXfrmSpnum:
			spnum = nlwire.BE32(a.Val)
		}
	}
	if key == 0 || int(key) >= len(xfrmKeys) || dir > 1 {
		return false
	}
	k := &xfrmKeys[key]
	op := snapshot.NfOperand{Kind: "xfrm", Key: [...]string{"in ", "out "}[dir] + k.name, Offset: int(spnum)}
	return m.store(dreg, value{op: op, typ: k.typ, host: k.host, n: k.n, src: oneExpr(i)})
}

var tunnelKeys = [...]known{{"path", vNum, 1, true}, {"id", vNum, 4, true}}

func (m *machine) tunnel(i int, b []byte) bool {
	var dreg, key, mode uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaTunnelDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaTunnelKey:
			key = nlwire.BE32(a.Val)
		case nftaTunnelMode:
			mode = nlwire.BE32(a.Val)
		}
	}
	return int(key) < len(tunnelKeys) && mode == 0 && m.storeKnown(i, dreg, "tunnel", &tunnelKeys[key])
}
