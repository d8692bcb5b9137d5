package probe

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Func is the shape of every probe between one namespace and one target. The error is for what kept it from asking.
type Func func(ctx context.Context, from *From, to To, o Options) (*Result, error)

// Class is what became of an attempt, as scripts tell it.
type Class string

// The classes.
const (
	OK          Class = "ok"
	Refused     Class = "refused"      // a TCP reset, or ICMP port or protocol unreachable
	Filtered    Class = "filtered"     // ICMP "administratively prohibited": a firewall said so
	NoRoute     Class = "no-route"     // FROM's own kernel has no route, or a router says network unreachable
	Unreachable Class = "unreachable"  // ICMP host unreachable, also FROM's own kernel where no neighbour answers
	TooBig      Class = "too-big"      // larger than the path or the link takes
	Expired     Class = "ttl-exceeded" // ICMP time exceeded
	Timeout     Class = "timeout"      // nothing came back
	NoAnswer    Class = "no-answer"    // UDP: sent, and silence, which may be an open port or a dropped packet
	Reset       Class = "reset"        // an open connection was reset
	NotFound    Class = "not-found"    // the name does not exist, or has no address
	BadAnswer   Class = "bad-answer"   // something answered, but not so as its protocol asks
	BadStatus   Class = "bad-status"   // an HTTP status of 400 or more
	BadTLS      Class = "tls"          // the certificate or the handshake
	Denied      Class = "denied"       // FROM's own kernel did not let the packet out (an OUTPUT rule: EPERM)
	Failed      Class = "failed"       // another error of FROM's own kernel
)

// MS is a time in milliseconds, as JSON has it.
type MS float64

// Millis is d in milliseconds.
func Millis(d time.Duration) MS { return MS(float64(d) / float64(time.Millisecond)) }

// Duration is the time again.
func (m MS) Duration() time.Duration { return time.Duration(float64(m) * float64(time.Millisecond)) }

// Result is what one probe found. It is data; Text prints it.
type Result struct {
	// Kind is the probe: ping, tcp, udp, dns, http, route, mtu, arp, bench, listen, matrix, all.
	Kind string `json:"kind"`
	From Source `json:"from"`
	To   Dest   `json:"to"`
	// Started is when the first packet could go, TookMS how long all lasted.
	Started time.Time `json:"started"`
	TookMS  MS        `json:"took_ms"`
	// OK tells whether what was asked for works: the exit code.
	OK bool `json:"ok"`
	// Class is OK, or the class that explains the failure best.
	Class Class `json:"class"`
	// Summary is one line for people, without FROM's and TO's names in front: "3/3 answered, 0.05/0.06/0.09 ms".
	Summary string `json:"summary"`
	// NotCertain says why the result may have another explanation ("ICMP errors are rate-limited …").
	NotCertain string `json:"not_certain,omitempty"`
	// Hint says what would help or what to look at next.
	Hint string `json:"hint,omitempty"`
	// Attempts are in the order in which they were sent. Never null.
	Attempts []Attempt `json:"attempts"`

	// One of these, by kind.
	Ping   *PingStats   `json:"ping,omitempty"`
	TCP    *TCPStats    `json:"tcp,omitempty"`
	UDP    *UDPStats    `json:"udp,omitempty"`
	DNS    *DNSAnswer   `json:"dns,omitempty"`
	HTTP   *HTTPAnswer  `json:"http,omitempty"`
	Route  *RoutePath   `json:"route,omitempty"`
	MTU    *PathMTU     `json:"mtu,omitempty"`
	ARP    *ARPAnswers  `json:"arp,omitempty"`
	Bench  *BenchFigure `json:"bench,omitempty"`
	Listen *ListenStats `json:"listen,omitempty"`
	// Steps are the single probes of "all", in order.
	Steps []*Result `json:"steps,omitempty"`
}

// Source is where was asked from.
type Source struct {
	Name string `json:"name"`
	// NetNS is the inode of the namespace.
	NetNS uint64 `json:"netns,omitempty"`
	// Addr is the address that the packets had, where it is known; Iface the interface asked for.
	Addr  netip.Addr `json:"addr,omitzero"`
	Iface string     `json:"iface,omitempty"`
}

// Dest is what was asked.
type Dest struct {
	// Asked is TO as it was given, Name what it is called where it is known.
	Asked string `json:"asked"`
	Name  string `json:"name,omitempty"`
	// Host is the name that FROM's resolver was asked for, empty where the address was known.
	Host string     `json:"host,omitempty"`
	Addr netip.Addr `json:"addr,omitzero"`
	Port uint16     `json:"port,omitempty"`
	// Resolved are all addresses that TO has or that its name resolved to; Addr is the one that was used. Never null.
	Resolved []netip.Addr `json:"resolved"`
}

// Attempt is one packet, connection or query, and what became of it.
type Attempt struct {
	Seq   int       `json:"seq"`
	At    time.Time `json:"at"`
	MS    MS        `json:"ms"` // until the answer, or until it was given up
	Class Class     `json:"class"`
	// By is who answered or who sent the ICMP error; zero where nobody did. ByName is what See calls it.
	By     netip.Addr `json:"by,omitzero"`
	ByName string     `json:"by_name,omitempty"`
	// Reason names the error: "ICMP port unreachable", "connection reset", "EHOSTUNREACH".
	Reason string `json:"reason,omitempty"`
	// Local and Remote are the addresses of the socket, where there were ports.
	Local  netip.AddrPort `json:"local,omitzero"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	// Size is the length of the IP packet in bytes, TTL the answer's.
	Size int `json:"size,omitempty"`
	TTL  int `json:"ttl,omitempty"`
	// MTU is the next hop's, from a "too big" error.
	MTU int `json:"mtu,omitempty"`
	// Late tells that this is a duplicate or came after its time.
	Duplicate bool `json:"duplicate,omitempty"`
	// Detail is what else there is to say.
	Detail string `json:"detail,omitempty"`
}

// Options are those that the probes share. A zero field takes the probe's default.
type Options struct {
	// Count is how many attempts, Interval the time between two, Timeout how long one waits for its answer, For how long
	// all may last (0: no limit; then the number of attempts is what ends it).
	Count    int
	Interval time.Duration
	Timeout  time.Duration
	For      time.Duration
	// Size is the payload in bytes; 0 takes the default, -1 means none.
	Size int
	// Src is the source address, SrcPort the local port, Iface the interface to send by.
	Src     netip.Addr
	SrcPort uint16
	Iface   string
	// Family is 4 or 6 where only that one is wanted, else 0.
	Family int
	// TTL is the time to live, 0 the kernel's. DF sets "don't fragment".
	TTL int
	DF  bool
	// Hold keeps an open TCP connection open for this long and sees whether it stays so.
	Hold time.Duration

	// Names tells who has an address or MAC; nil knows nobody.
	Names Names
	// Each is called with each attempt as soon as it is known, from one goroutine at a time; nil for nobody.
	Each func(Attempt)
	// Pace is shared by probes that run at once; nil makes one of its own.
	Pace *Pacer
}

// Names is what See knows. Both answer "" or nothing where it is not certain: a wrong name is worse than none.
type Names interface {
	// Addr is who has an address, as FROM reaches it.
	Addr(netip.Addr) string
	// MAC is whose links on FROM's layer 2 segments have a hardware address.
	MAC(net.HardwareAddr) []string
}

// nameOf is who has an address, "" where nobody is known.
func (o Options) nameOf(a netip.Addr) string {
	if o.Names == nil || !a.IsValid() {
		return ""
	}
	return o.Names.Addr(a.Unmap())
}

// each reports an attempt.
func (o Options) each(a Attempt) {
	if o.Each != nil {
		o.Each(a)
	}
}

// or returns the first value that is set.
func or[T comparable](v ...T) (zero T) {
	for _, x := range v {
		if x != zero {
			return x
		}
	}
	return zero
}

// newResult begins a result.
func newResult(kind string, from *From, to To, o Options) *Result {
	r := &Result{Kind: kind, Started: time.Now(), Attempts: []Attempt{}}
	r.From = Source{Name: from.Name, NetNS: from.inode(), Addr: o.Src, Iface: o.Iface}
	r.To = Dest{Asked: to.Asked, Name: to.Name, Host: to.Host, Port: to.Port, Resolved: []netip.Addr{}}
	r.To.Resolved = append(r.To.Resolved, to.Addrs...)
	return r
}

// add records an attempt, names who answered, and reports it.
func (r *Result) add(o Options, a Attempt) {
	if a.ByName == "" {
		a.ByName = o.nameOf(a.By)
	}
	r.Attempts = append(r.Attempts, a)
	o.each(a)
}

// end sets the outcome.
func (r *Result) end(class Class, summary string) *Result {
	r.TookMS = Millis(time.Since(r.Started))
	r.Class, r.OK, r.Summary = class, class == OK, summary
	return r
}
