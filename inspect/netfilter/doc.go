// Package netfilter reads every firewall rule of one network namespace into [snapshot.Netfilter]: nftables of all
// families over nfnetlink, and the older x_tables ("legacy" iptables) over getsockopt. No program is run, no module is
// loaded, no table is made by asking for it.
//
// Decoding is pure and works everywhere. What is not understood is kept verbatim ([snapshot.NfUnknown]) and named, never
// dropped and never guessed: a structure whose length is not that of the kernel's header is unknown.
//
// Layouts: include/uapi/linux/netfilter/{nf_tables,nf_tables_compat,x_tables,xt_*}.h,
// include/uapi/linux/netfilter_ipv{4,6}/*.h.
package netfilter
