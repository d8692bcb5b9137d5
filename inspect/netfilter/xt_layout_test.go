package netfilter

import (
	"encoding/hex"
	"encoding/json"
	"runtime"
	"testing"
)

// TestXTLayouts decodes structures that a C compiler laid out from the kernel's uapi headers on a little-endian machine, of
// extensions and revisions that iptables 1.8.9 does not write to a new kernel: their spelling has no oracle.
func TestXTLayouts(t *testing.T) {
	if runtime.GOARCH == "s390x" {
		t.Skip("skip: needs a little-endian machine")
	}
	for _, x := range []struct {
		family, kind, name string
		rev                uint8
		data, want         string
	}{
		{"ip", "match", "set", 0, "0300000001000000020000000000000000000000000000000000000000000000",
			`{"matches":[{"left":{"kind":"xt","key":"ipset","opts":{"dir":"src,dst","index":"3"}},"op":"=="}],"xt":{"name":"set"}}`},
		{"ip", "match", "set", 1, "0400020300000000",
			`{"matches":[{"left":{"kind":"xt","key":"ipset","opts":{"dir":"src,dst","index":"4"}},"op":"!="}],"xt":{"name":"set","rev":1}}`},
		{"ip", "match", "set", 3, "040001020000000004000000000000004d00000000000000000000000000000000000000000000008000000000000000",
			`{"matches":[{"left":{"kind":"xt","key":"ipset","opts":{"dir":"src","index":"4","packets-gt":"77","return-nomatch":""}},"op":"=="}],"xt":{"name":"set","rev":3}}`},
		{"ip6", "match", "set", 4, "040001000000000000000000000000000000000000000000630000000000000002000000000000000800000000000000",
			`{"matches":[{"left":{"kind":"xt","key":"ipset","opts":{"bytes-ne":"99","dir":"dst","index":"4","no-update-counters":""}},"op":"=="}],"xt":{"name":"set","rev":4}}`},
		{"ip", "target", "SET", 3, "07000102ffff0000ffff0000010000003c00000000000000",
			`{"action":{"name":"set","opts":{"add-dir":"src","add-index":"7","exist":"","timeout":"60"}},"xt":{"name":"SET","rev":3}}`},
		{"ip", "target", "SET", 1, "ffff000007000200",
			`{"action":{"name":"set","opts":{"del-dir":"dst,dst","del-index":"7"}},"xt":{"name":"SET","rev":1}}`},
		{"ip", "match", "ipvs", 0, "0a000007000000000000000000000000ffffffff000000000000000000000000005000000000082c",
			`{"matches":[{"left":{"kind":"xt","key":"ipvs vaddr"},"op":"==","values":[{"prefix":"10.0.0.7/32"}]},{"left":{"kind":"xt","key":"ipvs vport"},"op":"!=","values":[{"num":{"from":80,"to":80}}]},{"left":{"kind":"xt","key":"ipvs vmethod"},"op":"==","values":[{"text":"MASQ"}]}],"xt":{"name":"ipvs"}}`},
		{"ip", "target", "LED", 0, "6e657466696c7465722d737368000000000000000000000000000001e80300000000000000000000",
			`{"action":{"name":"led","opts":{"led-always-blink":"","led-delay":"1000","led-trigger-id":"\"ssh\""}},"xt":{"name":"LED"}}`},
		{"ip", "target", "CLUSTERIP", 0, "01000000010203040506030001000200000000000000000000000000000000000000000000000000000000000000000001000000050000000000000000000000",
			`{"action":{"name":"clusterip","opts":{"clustermac":"01:02:03:04:05:06","hash-init":"5","hashmode":"sourceip-sourceport","local-node":"2","new":"","total-nodes":"3"}},"xt":{"name":"CLUSTERIP"}}`},
		{"ip", "match", "rateest", 0, "726530000000000000000000000000000000000000000000000000000000000022000300000000000000000000000000320000000000000000000000000000000000000000000000",
			`{"matches":[{"left":{"kind":"xt","key":"rateest","opts":{"words":"--rateest re0 --rateest-gt --rateest-pps 50"}},"op":"=="}],"xt":{"name":"rateest"}}`},
		{"ip", "target", "SECMARK", 1, "0173797374656d5f753a6f626a6563745f723a785f743a73300000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
			`{"action":{"name":"secmark","opts":{"selctx":"system_u:object_r:x_t:s0"}},"xt":{"name":"SECMARK","rev":1}}`},
		{"ip", "match", "connlabel", 0, "2800030000000000",
			`{"matches":[{"left":{"kind":"xt","key":"connlabel label","opts":{"set":""}},"op":"!=","values":[{"num":{"from":40,"to":40}}]}],"xt":{"name":"connlabel"}}`},
		{"ip", "match", "nfacct", 1, "77656200000000000000000000000000000000000000000000000000000000000000000000000000",
			`{"matches":[{"left":{"kind":"xt","key":"nfacct nfacct-name"},"op":"==","values":[{"text":"web"}]}],"xt":{"name":"nfacct","rev":1}}`},
		{"ip", "match", "conntrack", 1, "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000005000000000410240000402",
			`{"matches":[{"left":{"kind":"ct","key":"state"},"op":"any","values":[{"num":{"from":4,"to":4}}]},{"left":{"kind":"ct","key":"proto-dst","dir":"original"},"op":"==","values":[{"num":{"from":80,"to":80}}]},{"left":{"kind":"ct","key":"status"},"op":"none","values":[{"num":{"from":2,"to":2}}]}],"xt":{"name":"conntrack","rev":1}}`},
		{"ip6", "match", "conntrack", 2, "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000003500000104000000010000000000000000",
			`{"matches":[{"left":{"kind":"ct","key":"state"},"op":"any","values":[{"num":{"from":64,"to":64}}]},{"left":{"kind":"ct","key":"proto-src","dir":"reply"},"op":"==","values":[{"num":{"from":53,"to":53}}]}],"xt":{"name":"conntrack","rev":2}}`},
		{"ip", "match", "hashlimit", 1, "6831000000000000000000000000000004000000f4010000050000000000000000000000e8030000e8030000202000000000000000000000",
			`{"matches":[{"left":{"kind":"xt","key":"hashlimit hashlimit-upto","opts":{"hashlimit-burst":"5","hashlimit-mode":"srcip","hashlimit-name":"h1"}},"op":"==","values":[{"text":"20/sec"}]}],"xt":{"name":"hashlimit","rev":1}}`},
		{"ip6", "match", "hashlimit", 2, "6832000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000040420f00000000000900000000000000120000000800000000000000e803000060ea0000804000000000000000000000",
			`{"matches":[{"left":{"kind":"xt","key":"hashlimit hashlimit-above","opts":{"hashlimit-burst":"9","hashlimit-dstmask":"64","hashlimit-htable-expire":"60000","hashlimit-htable-size":"8","hashlimit-mode":"dstport","hashlimit-name":"h2"}},"op":"==","values":[{"text":"1/sec"}]}],"xt":{"name":"hashlimit","rev":2}}`},
		{"ip", "match", "recent", 0, "090000000000000014007200000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000010000000000",
			`{"matches":[{"left":{"kind":"xt","key":"recent update","opts":{"name":"r","rdest":"","rttl":"","seconds":"9"}},"op":"=="}],"xt":{"name":"recent"}}`},
		{"ip", "target", "TPROXY", 0, "ff000000010000000000000000630000",
			`{"nat":{"kind":"tproxy","family":"ip","addr":"0.0.0.0","port":99,"mark":1,"mark_mask":255},"xt":{"name":"TPROXY"}}`},
		{"ip", "target", "NFQUEUE", 2, "0500030001000000",
			`{"verdict":{"kind":"queue","queue":{"from":5,"to":7},"flags":["bypass"]},"xt":{"name":"NFQUEUE","rev":2}}`},
		{"ip", "target", "DNAT", 0, "01000000030000000a0000010a0000090050005a00000000",
			`{"nat":{"kind":"dnat","family":"ip","addr":"10.0.0.1","addr_to":"10.0.0.9","port":80,"port_to":90},"xt":{"name":"DNAT"}}`},
	} {
		data, err := hex.DecodeString(x.data)
		if err != nil {
			t.Fatal(err)
		}
		decode := xtMatchExpr
		if x.kind == "target" {
			decode = xtTargetExpr
		}
		got, err := json.Marshal(decode(x.family, x.name, x.rev, data))
		if err != nil || string(got) != x.want {
			t.Errorf("%s %s.%d:\n%s\nnot\n%s", x.kind, x.name, x.rev, got, x.want)
		}
	}
}
