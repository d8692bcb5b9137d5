package probe

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// kinds is the visible list of what prints each kind: a line for an attempt as it comes (live), and the lines below the
// first once all is known. Either may be nil.
var kinds = map[string]struct {
	line   func(Attempt) string
	detail func(io.Writer, *Result)
}{
	"ping":   {pingLine, pingDetail},
	"tcp":    {tcpLine, tcpDetail},
	"udp":    {udpLine, udpDetail},
	"dns":    {nil, dnsDetail},
	"http":   {nil, httpDetail},
	"route":  {nil, routeDetail},
	"mtu":    {nil, mtuDetail},
	"arp":    {arpLine, arpDetail},
	"bench":  {benchLine, benchDetail},
	"listen": {listenLine, listenDetail},
	"all":    {nil, allDetail},
}

// Line is an attempt in one line, as it is shown while the probe runs; "" where the kind shows none.
func Line(kind string, a Attempt) string {
	if f := kinds[kind].line; f != nil {
		return f(a)
	}
	return ""
}

// Text prints the result: the first line says what came of it, the lines below why.
func (r *Result) Text(w io.Writer) {
	fmt.Fprintln(w, r.Headline())
	if f := kinds[r.Kind].detail; f != nil {
		f(w, r)
	}
	if r.NotCertain != "" {
		fmt.Fprint(w, wrapped("  not certain: "+r.NotCertain))
	}
	if r.Hint != "" {
		fmt.Fprint(w, wrapped("  hint: "+r.Hint))
	}
}

// wrapped breaks a line at 80 columns; what follows is indented.
func wrapped(line string) string {
	const width = 80
	var b strings.Builder
	at := 0
	for i, word := range strings.Split(line, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > width && at > 4:
			b.WriteString("\n    ")
			at = 4
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String() + "\n"
}

// Headline is the first line: "ok: web → db (10.0.1.5) tcp 5432: open, 0.2 ms".
func (r *Result) Headline() string {
	word := "ok"
	if !r.OK {
		word = "FAILED"
	}
	to := r.To.String()
	if to != "" {
		to = " → " + to
	}
	return fmt.Sprintf("%s: %s %s%s: %s", word, r.Kind, r.From.Name, to, r.Summary)
}

// String is TO as people call it, with its address and port.
func (d Dest) String() string {
	name := or(d.Name, d.Host, d.Asked)
	addr := ""
	switch {
	case d.Addr.IsValid() && d.Port != 0:
		addr = netip.AddrPortFrom(d.Addr, d.Port).String()
	case d.Addr.IsValid():
		addr = d.Addr.String()
	case d.Port != 0:
		return fmt.Sprintf("%s port %d", name, d.Port)
	}
	switch {
	case addr == "":
		return name
	case name == "" || strings.HasPrefix(name, d.Addr.String()):
		return addr
	}
	return name + " (" + addr + ")"
}

// who is an address with its name: "db (10.0.1.5)".
func (a Attempt) who() string { return whoIs(a.By, a.ByName) }

func whoIs(a netip.Addr, name string) string {
	switch {
	case !a.IsValid():
		return ""
	case name == "":
		return a.String()
	}
	return name + " (" + a.String() + ")"
}

// ms prints a time: 0.043 ms, 12.1 ms, 1.20 s.
func (m MS) String() string {
	switch {
	case m < 1:
		return fmt.Sprintf("%.3f ms", float64(m))
	case m < 1000:
		return fmt.Sprintf("%.1f ms", float64(m))
	}
	return fmt.Sprintf("%.2f s", float64(m)/1000)
}
