package probe

import "net/netip"

// DNSAnswer is what DNS found beside its attempts: one attempt and one step for each query, in the same order.
type DNSAnswer struct {
	// Name is what was asked for, Types the record types.
	Name  string   `json:"name"`
	Types []string `json:"types"`
	// Conf is the resolv.conf that was used; nil where a server was given.
	Conf *ResolvConf `json:"resolv_conf,omitempty"`
	// Hosts is what FROM's hosts file says, which counts before any server, nil where it says nothing.
	Hosts *HostsHit `json:"hosts,omitempty"`
	// Steps are the queries. Never null.
	Steps []DNSStep `json:"steps"`
	// FQDN is the name that had an answer, Addrs its addresses as FROM's C library sorts them, Records what else there
	// is, each as a zone file has its data. CNAMEs are the aliases that led there. None is null.
	FQDN    string       `json:"fqdn,omitempty"`
	CNAMEs  []string     `json:"cnames"`
	Addrs   []netip.Addr `json:"addrs"`
	Records []string     `json:"records"`
	// TTL is the lowest of the answer's, in seconds.
	TTL uint32 `json:"ttl,omitempty"`
	// Embedded is what is wrong with an engine's own resolver (127.0.0.11), "" where nothing is known to be.
	Embedded string `json:"embedded,omitempty"`
	// Notes are further findings, each a sentence.
	Notes []string `json:"notes,omitempty"`
}

// DNSStep is one query and what came back.
type DNSStep struct {
	// Round counts from 1: with a count of 3 the name is resolved three times.
	Round int `json:"round"`
	// Via is "server", "embedded" (an engine's own resolver, 127.0.0.11), "embedded-direct" (the port where that resolver
	// really listens) or "upstream" (a server that it forwards to).
	Via    string         `json:"via"`
	Server netip.AddrPort `json:"server"`
	// From is where was asked from, where that is not FROM.
	From string `json:"from,omitempty"`
	// Proto is udp or tcp.
	Proto string `json:"proto"`
	Query string `json:"query"`
	Type  string `json:"type"`
	MS    MS     `json:"ms"`
	Class Class  `json:"class"`
	// Rcode is the answer's (NOERROR, NXDOMAIN, SERVFAIL …), "" where there was none.
	Rcode string `json:"rcode,omitempty"`
	// Flags are those of the answer: aa, tc, ra, ad.
	Flags []string `json:"flags"`
	// Truncated tells that the answer did not fit into UDP; the next step asks by TCP.
	Truncated bool `json:"truncated,omitempty"`
	// Answers are the records that answer, aliases first. Never null.
	Answers []DNSRecord `json:"answers"`
	// Reason says what was wrong; Ignored which packets came and were not the answer ("wrong id").
	Reason  string   `json:"reason,omitempty"`
	Ignored []string `json:"ignored,omitempty"`
}

// DNSRecord is a resource record.
type DNSRecord struct {
	Name string `json:"name"`
	Type string `json:"type"`
	TTL  uint32 `json:"ttl"` // seconds
	Data string `json:"data"`
}

// Question is what to ask a name server for.
type Question struct {
	// Type is A, AAAA, PTR, SRV, MX, TXT …; "" asks for A and AAAA, and for PTR where TO is an address.
	Type string
	// Server is asked instead of those of FROM's resolv.conf, where it is valid; port 0 means 53. The name is then asked as
	// it is: neither hosts file nor search list count.
	Server netip.AddrPort
	// TCP asks by TCP only.
	TCP bool
}

// embeddedDNS is where Docker's own resolver answers in every container of a user-defined network.
var embeddedDNS = netip.MustParseAddr("127.0.0.11")

// dnsPort is the port of name servers.
const dnsPort = 53
