// Package probe asks from inside any network namespace what people install troubleshooting tools for: does it answer
// (ping), is the port open (tcp, udp), what does the name server say (dns), where does the path go (route), how large a
// packet passes (mtu), who answers for an address (arp), how fast is it (bench). Nothing needs to be installed in the
// container: only sockets are opened there.
//
//	from := &probe.From{Name: "web", NS: handle, PID: 1234}
//	to := probe.To{Asked: "db", Name: "db", Addrs: []netip.Addr{addr}, Port: 5432}
//	r, err := probe.TCP(ctx, from, to, probe.Options{Count: 3})
//	r.OK, r.Summary, r.Attempts // data first; r.Text(w) prints it
//
// Each probe is a function of one shape, [Func], and one file. The error is for what kept it from asking at all (no
// permission, a vanished namespace, a wrong option); what the network answered, also "nothing", is the [Result].
//
// Rules: sockets are opened inside the namespace (netns.Handle.Do) and used outside, so no thread stays there; no program
// is run; nothing but what was asked for is sent, at most [MaxRate] packets a second ([Bench] and [Matrix] excepted); a
// context that ends makes a probe return what it has so far. Where the kernel's limits on ICMP errors, or silence, leave
// more than one explanation, the result says so ([Result.NotCertain]).
package probe
