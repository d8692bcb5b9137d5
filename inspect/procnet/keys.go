package procnet

// group is the sysctls of one folder of /proc/sys/net. The first key is there whenever the folder is: where it is missing,
// the others are not looked for.
type group struct {
	dir  string
	keys []string
}

// groups lists the sysctls that decide forwarding, filtering, ARP, conntrack and what sockets may do, and what the
// limits are. Some exist in the initial namespace only.
var groups = []group{
	{"ipv4", []string{
		"ip_forward", "ip_default_ttl", "ip_local_port_range", "ip_no_pmtu_disc", "ip_nonlocal_bind",
		"ip_unprivileged_port_start", "ping_group_range",
		"icmp_echo_ignore_all", "icmp_echo_ignore_broadcasts", "icmp_ratelimit",
		"tcp_mtu_probing", "tcp_syncookies", "tcp_keepalive_time"}},
	{"ipv4/conf/all", []string{
		"rp_filter", "arp_ignore", "arp_announce", "arp_filter", "proxy_arp", "accept_local", "route_localnet",
		"send_redirects", "accept_redirects", "src_valid_mark"}},
	{"ipv4/conf/default", []string{"forwarding", "rp_filter"}},
	{"ipv4/neigh/default", []string{"gc_thresh1", "gc_thresh2", "gc_thresh3"}}, // initial namespace only
	{"ipv4/vs", []string{
		"conntrack", "conn_reuse_mode", "expire_nodest_conn", "expire_quiescent_template", "snat_reroute", "nat_icmp_send"}},
	{"ipv6", []string{"bindv6only", "ip_nonlocal_bind"}},
	{"ipv6/conf/all", []string{"disable_ipv6", "forwarding"}},
	{"ipv6/conf/default", []string{"disable_ipv6", "forwarding", "accept_ra"}},
	{"ipv6/neigh/default", []string{"gc_thresh1", "gc_thresh2", "gc_thresh3"}}, // initial namespace only
	{"bridge", []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"}},
	{"netfilter", []string{
		"nf_conntrack_max", "nf_conntrack_count", "nf_conntrack_tcp_be_liberal", "nf_conntrack_tcp_loose",
		"nf_conntrack_tcp_timeout_established",
		"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"}},
	{"core", []string{"somaxconn"}},
}
