package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ResolvConf is a resolv.conf(5) as glibc reads it.
type ResolvConf struct {
	// Path is the file, as FROM calls it; Of whose it is ("pid 1234", "nscope's host"). Missing tells that it is not there:
	// then the C library asks 127.0.0.1.
	Path    string `json:"path"`
	Of      string `json:"of"`
	Missing bool   `json:"missing,omitempty"`
	// Servers are asked in this order. Never null.
	Servers []Nameserver `json:"servers"`
	// Ignored are nameserver lines that nobody asks: those after the third, and those that are no address.
	Ignored []string `json:"ignored,omitempty"`
	// Search are the domains to append, without a dot at the end, "" the root. Never null.
	Search []string `json:"search"`
	// NDots is how many dots make a name be asked as it is first, TimeoutS the seconds to wait for a server (5 where the
	// file says none), Attempts how often all servers are asked.
	NDots    int `json:"ndots"`
	TimeoutS int `json:"timeout_s"`
	Attempts int `json:"attempts"`
	// Options are all of the file, as they stand there.
	Options []string `json:"options,omitempty"`
	// Ext are the servers that Docker's resolver forwards to, from the comment that newer engines write.
	Ext []ExtServer `json:"ext_servers,omitempty"`
}

// Nameserver is a server of a resolv.conf. The zone of a link-local address is the name of an interface.
type Nameserver struct {
	Addr netip.Addr `json:"addr"`
}

// ExtServer is one of Docker's "ExtServers". Host tells that the engine asks it from its own namespace, not the container's.
type ExtServer struct {
	Addr netip.Addr `json:"addr"`
	Host bool       `json:"host,omitempty"`
}

// Limits of glibc (resolv/bits/types/res_state.h, resolv/resolv-internal.h).
const (
	maxNameservers = 3  // MAXNS
	maxNDots       = 15 // RES_MAXNDOTS
	maxRetrans     = 30 // RES_MAXRETRANS, seconds
	maxRetry       = 5  // RES_MAXRETRY
	resTimeout     = 5  // RES_TIMEOUT, seconds
	resAttempts    = 2  // RES_DFLRETRY
)

// parseResolvConf reads a file as res_vinit_1 of glibc (resolv/res_init.c) does: keywords begin in the first column, the last
// of several domain and search lines counts, limits are silently applied.
func parseResolvConf(b []byte) *ResolvConf {
	c := &ResolvConf{Servers: []Nameserver{}, Search: []string{}, NDots: 1, TimeoutS: resTimeout, Attempts: resAttempts}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		if line[0] == ';' || line[0] == '#' {
			if ext, ok := extServers(line); ok {
				c.Ext = ext
			}
			continue
		}
		word, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		fields := strings.Fields(rest)
		switch {
		case len(fields) == 0:
		case word == "nameserver":
			c.nameserver(fields[0])
		case word == "domain":
			c.Search = domains(fields[:1])
		case word == "search":
			c.Search = domains(fields)
		case word == "options":
			for _, o := range fields {
				c.option(o)
			}
		}
	}
	return c
}

func (c *ResolvConf) nameserver(s string) {
	if i := strings.IndexAny(s, ";#"); i >= 0 {
		s = s[:i]
	}
	a, err := netip.ParseAddr(s)
	if err != nil || len(c.Servers) == maxNameservers {
		if s != "" {
			c.Ignored = append(c.Ignored, s)
		}
		return
	}
	c.Servers = append(c.Servers, Nameserver{a.Unmap()})
}

// domains are search domains without the dot at the end.
func domains(fields []string) []string {
	list := []string{}
	for _, d := range fields {
		list = append(list, strings.TrimSuffix(d, "."))
	}
	return list
}

func (c *ResolvConf) option(o string) {
	c.Options = append(c.Options, o)
	name, value, _ := strings.Cut(o, ":")
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return
	}
	switch name {
	case "ndots":
		c.NDots = min(n, maxNDots)
	case "timeout":
		c.TimeoutS = max(1, min(n, maxRetrans))
	case "attempts":
		c.Attempts = max(1, min(n, maxRetry))
	}
}

// has tells whether an option is set.
func (c *ResolvConf) has(option string) bool { return slices.Contains(c.Options, option) }

// extServers reads "# ExtServers: [8.8.8.8 host(127.0.0.53)]" (libnetwork/internal/resolvconf).
func extServers(line string) ([]ExtServer, bool) {
	list, ok := strings.CutPrefix(strings.TrimLeft(line, "#; "), "ExtServers:")
	if !ok {
		return nil, false
	}
	var ext []ExtServer
	for _, s := range strings.Fields(strings.Trim(strings.TrimSpace(list), "[]")) {
		var e ExtServer
		if in, ok := strings.CutPrefix(s, "host("); ok {
			s, e.Host = strings.TrimSuffix(in, ")"), true
		}
		if a, err := netip.ParseAddr(s); err == nil {
			e.Addr = a.Unmap()
			ext = append(ext, e)
		}
	}
	return ext, true
}

// candidate is a name to ask for, with a dot at the end; asIs tells that nothing was appended.
type candidate struct {
	name string
	asIs bool
}

// names are what is asked for in turn until one has an answer, as __res_context_search of glibc does: with enough dots the
// name as it is first, else last; without a dot only where no search domain is the root.
//
// musl differs: where the name has enough dots it is the only one that is asked, and a search domain that has the name but
// no address ends the search.
func (c *ResolvConf) names(name string) []candidate {
	if strings.HasSuffix(name, ".") {
		return []candidate{{name, true}}
	}
	dots := strings.Count(name, ".")
	var list []candidate
	asIs := dots >= c.NDots
	if asIs {
		list = append(list, candidate{name + ".", true})
	}
	root := false
	for _, d := range c.Search {
		root = root || d == ""
		if d != "" {
			d += "."
		}
		list = append(list, candidate{name + "." + d, false})
	}
	if !asIs && !root && (dots > 0 || len(c.Search) == 0 || !c.has("no-tld-query")) {
		list = append(list, candidate{name + ".", true})
	}
	return list
}

// String is the file in one line, for people.
func (c *ResolvConf) String() string {
	var list []string
	for _, s := range c.Servers {
		list = append(list, s.Addr.String())
	}
	s := "nameserver " + strings.Join(list, ", ")
	if len(c.Search) > 0 {
		s += "; search"
		for _, d := range c.Search {
			s += " " + or(d, ".")
		}
	}
	return cleanText(s) + fmt.Sprintf("; ndots:%d", c.NDots)
}
