package e2e

import "strings"

// option is something of a rule: where it may stand and what it needs beside it.
type option struct {
	args   string
	proto  string // of the rule; "" any
	table  string // the only one that takes it; "" any
	family string // ip, ip6; "" both
}

// iptablesMatches are all extensions that match, each with its options in several forms.
var iptablesMatches = options(`
-m addrtype --src-type LOCAL
-m addrtype ! --dst-type UNICAST,BROADCAST
-m addrtype --dst-type LOCAL --limit-iface-in
ah -m ah --ahspi 10:20
ah ip -m ah ! --ahspi 7
ip6 -m ah --ahlen 12 --ahres
-m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"
-m cgroup --cgroup 7
-m cgroup ! --path "/"
-m cluster --cluster-total-nodes 4 --cluster-local-nodemask 2 --cluster-hash-seed 0xdeadbeef
-m comment --comment "it's a \"quoted\" comment"
-m comment --comment plain
-m connbytes --connbytes 10:2000 --connbytes-mode bytes --connbytes-dir both
-m connbytes ! --connbytes 5:6 --connbytes-mode packets --connbytes-dir reply
-m connlimit --connlimit-above 4 --connlimit-mask 24
-m connlimit --connlimit-upto 9 --connlimit-daddr
-m connmark --mark 0x10/0xf0
-m connmark ! --mark 3
-m conntrack --ctstate RELATED,ESTABLISHED
-m conntrack ! --ctstate INVALID
-m conntrack --ctstate NEW,DNAT
-m conntrack --ctproto 17 --ctstatus SEEN_REPLY,ASSURED
-m conntrack --ctstatus NONE --ctexpire 10:20 --ctdir REPLY
-m conntrack ! --ctorigdstport 80:90 --ctreplsrcport 53
ip -m conntrack --ctorigsrc 10.0.0.0/8 ! --ctrepldst 192.0.2.9
ip6 -m conntrack --ctorigdst fd00::/8
-m state --state NEW,UNTRACKED
-m cpu --cpu 1
dccp -m dccp --sport 1:9 --dport 5 --dccp-types REQUEST,DATA
-m devgroup --src-group 3
-m devgroup ! --src-group 0x10/0x30
-m dscp --dscp 0x2e
-m dscp ! --dscp 1
tcp -m ecn --ecn-tcp-cwr ! --ecn-tcp-ece
-m ecn --ecn-ip-ect 2
esp -m esp --espspi 100:200
esp -m esp ! --espspi 5
-m hashlimit --hashlimit-above 20/sec --hashlimit-burst 7 --hashlimit-mode srcip,dstport --hashlimit-name hl0
-m hashlimit --hashlimit-upto 512kb/s --hashlimit-mode dstip --hashlimit-name hl1 --hashlimit-srcmask 24
-m helper --helper ftp
-m helper ! --helper sip
ip icmp -m icmp --icmp-type 8
ip icmp -m icmp ! --icmp-type 3/1
ip icmp -m icmp --icmp-type any
ip6 icmpv6 -m icmp6 --icmpv6-type 128
ip6 icmpv6 -m icmp6 ! --icmpv6-type 1/4
ip -m iprange --src-range 10.0.0.1-10.0.0.9
ip -m iprange ! --dst-range 10.1.0.0-10.1.3.255
ip6 -m iprange --src-range fd00::1-fd00::9
-m length --length 100:1500
-m length ! --length 64
-m limit --limit 3/min --limit-burst 9
-m limit --limit 100/sec
-m mac --mac-source 02:42:ac:11:00:02
-m mark --mark 0x149
-m mark ! --mark 0x4000/0xc000
tcp -m multiport --dports 80,443,8000:8099
udp -m multiport ! --sports 53
tcp -m multiport --ports 1,2:3
tcp -m osf --genre Linux --ttl 1
-m owner --uid-owner 1000-2000
-m owner ! --gid-owner 5
-m owner --socket-exists
-m physdev --physdev-in veth0
-m physdev ! --physdev-is-bridged
-m physdev --physdev-is-in --physdev-in eth+
-m pkttype --pkt-type broadcast
-m pkttype ! --pkt-type multicast
-m policy --dir in --pol none
-m policy --dir in --pol ipsec --strict --reqid 5 --proto esp --mode tunnel --tunnel-src 0.0.0.0/0 --next ! --reqid 6
-m quota --quota 100000
-m realm --realm 0x1/0x3
-m recent --set --name seen --rsource
-m recent ! --rcheck --seconds 60 --hitcount 3 --name other --rdest
mangle: -m rpfilter --loose --invert
sctp -m sctp --dport 3868 --chunk-types any INIT,DATA:Be
sctp -m sctp ! --sport 1:5
-m socket --transparent --nowildcard
-m statistic --mode random --probability 0.33333333349
-m statistic --mode nth ! --every 5 --packet 2
-m string --string "GET /" --algo bm --to 100
-m string ! --hex-string "|00ff|" --algo kmp --from 5 --icase
tcp -m tcp --dport 80
tcp -m tcp ! --sport 1024:65535 --dport 8080
tcp -m tcp --dport :100
tcp -m tcp --tcp-flags SYN,ACK SYN
tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN --sport 22
tcp -m tcp --tcp-option 8
tcp -m tcp ! --tcp-option 5
tcp -m tcpmss --mss 500:1400
-m time --timestart 08:00 --timestop 17:30 --weekdays Mon,Fri --kerneltz
-m time --datestart 2026-01-01T00:00:00 --monthdays 1,15
-m tos --tos 0x10/0x3f
-m tos ! --tos 0x08
ip -m ttl --ttl-lt 5
ip -m ttl ! --ttl-eq 64
udp -m udp --dport 53
udp -m udp ! --sport 1:10
-m u32 --u32 "0>>22&0x3c@4=0x1,0x5:0x9"
ip6 -m dst --dst-len 8 --dst-opts 1:2,5
ip6 -m hbh ! --hbh-len 16
ip6 -m frag --fragid 1:9 --fragfirst --fraglast
ip6 -m hl --hl-gt 3
ip6 -m ipv6header --header hop-by-hop,auth --soft
ip6 mh -m mh --mh-type 1:3
ip6 -m rt --rt-type 0 --rt-segsleft 1:2 --rt-len 12
ip6 -m srh --srh-next-hdr 17 --srh-segs-left-gt 1 ! --srh-tag 5
ip6 -m eui64
`)

// iptablesTargets are all targets.
var iptablesTargets = options(`
-j ACCEPT
filter: -j DROP
-j RETURN
-j MADE
-g MADE
-j AUDIT --type drop
mangle: -j CHECKSUM --checksum-fill
-j CLASSIFY --set-class 1:10
mangle: -j CONNMARK --set-xmark 0x10/0xff
mangle: -j CONNMARK --set-xmark 0x5
mangle: -j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff
mangle: -j CONNMARK --restore-mark --mask 0xf0
mangle: -j CONNMARK --save-mark --left-shift-mark 4
security: -j CONNSECMARK --save
raw: -j CT --notrack
raw: -j CT --zone 5 --ctevents new,destroy
raw: -j CT --zone-orig mark
raw: -j NOTRACK
tcp nat: -j DNAT --to-destination :8080-8090
ip nat: -j DNAT --to-destination 10.0.0.5
ip tcp nat: -j DNAT --to-destination 10.0.0.5-10.0.0.9:80-90 --random
ip6 tcp nat: -j DNAT --to-destination [fd00::5]:80 --persistent
mangle: -j DSCP --set-dscp 0x2e
ip tcp mangle: -j ECN --ecn-tcp-remove
ip6 mangle: -j HL --hl-dec 2
mangle: -j HMARK --hmark-tuple src,dst --hmark-mod 10 --hmark-offset 5 --hmark-rnd 0x1234
-j IDLETIMER --timeout 30 --label it0
-j LOG --log-prefix "a prefix: " --log-level 7 --log-uid
-j LOG --log-tcp-options --log-ip-options --log-macdecode
mangle: -j MARK --set-xmark 0x149
mangle: -j MARK --set-xmark 0x4000/0x4000
mangle: -j MARK --and-mark 0xff
nat: -j MASQUERADE
tcp nat: -j MASQUERADE --to-ports 1024-2048 --random-fully
ip nat: -j NETMAP --to 10.9.0.0/24
-j NFLOG --nflog-group 5 --nflog-prefix "p q"
-j NFLOG --nflog-size 100 --nflog-threshold 9
-j NFQUEUE --queue-num 4
-j NFQUEUE --queue-balance 1:3 --queue-bypass --queue-cpu-fanout
-j RATEEST --rateest-name re0 --rateest-interval 250ms --rateest-ewmalog 500ms
tcp nat: -j REDIRECT --to-ports 3128
filter: -j REJECT
ip filter: -j REJECT --reject-with icmp-admin-prohibited
ip6 filter: -j REJECT --reject-with icmp6-no-route
tcp filter: -j REJECT --reject-with tcp-reset
ip nat: -j SNAT --to-source 192.0.2.1-192.0.2.9 --persistent
ip udp nat: -j SNAT --to-source 192.0.2.1:100-200
tcp filter: -j SYNPROXY --sack-perm --wscale 7 --mss 1460
ip6 mangle: -j SNPT --src-pfx fd00::/64 --dst-pfx 2001:db8::/64
tcp mangle: -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
tcp mangle: -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400
tcp mangle: -j TCPOPTSTRIP --strip-options timestamp,sack
ip mangle: -j TEE --gateway 10.0.0.1 --oif eth9
mangle: -j TOS --set-tos 0x10/0x3f
udp mangle: -j TPROXY --on-port 9999 --tproxy-mark 0x1/0xff
raw: -j TRACE
ip mangle: -j TTL --ttl-set 64
`)

// options reads one option a line: a family, a protocol and a table with a colon may come first.
func options(text string) (out []option) {
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		var o option
		for !strings.HasPrefix(l, "-") {
			w, rest, _ := strings.Cut(l, " ")
			switch {
			case w == "ip" || w == "ip6":
				o.family = w
			case strings.HasSuffix(w, ":"):
				o.table = strings.TrimSuffix(w, ":")
			default:
				o.proto = w
			}
			l = rest
		}
		o.args = l
		out = append(out, o)
	}
	return out
}
