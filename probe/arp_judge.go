package probe

import (
	"fmt"
	"slices"
	"strings"
)

// who is a hardware address with whose it is.
func (a ARPAnswer) who() string {
	switch {
	case len(a.Names) > 0:
		return a.MAC + " (" + strings.Join(a.Names, ", ") + ")"
	case a.Own:
		return a.MAC + " (another link of its own)"
	}
	return a.MAC
}

// arpJudge says what the answers mean. via is the way that packets to TO go where it is on no link, "" where it is.
func arpJudge(r *Result, via string) {
	a := r.ARP
	var on []string
	for _, l := range a.Links {
		on = append(on, l.Iface)
	}
	links := strings.Join(on, ", ")
	// Of FROM's own links another one may answer for any address of it (arp_ignore 0 in ip-sysctl): that is no other host.
	byLink := map[string][]ARPAnswer{}
	var all []ARPAnswer
	for _, x := range a.Answers {
		if !a.Own || !x.Own {
			byLink[x.Iface] = append(byLink[x.Iface], x)
			all = append(all, x)
		}
	}
	sent, refused := 0, Attempt{}
	for _, x := range r.Attempts {
		if x.Class != OK && x.Class != Timeout {
			refused = x
		}
		sent++
	}
	whole := func(list []ARPAnswer) string {
		var out []string
		for _, x := range list {
			out = append(out, x.who())
		}
		return strings.Join(out, ", ")
	}
	for _, l := range a.Links {
		list := byLink[l.Iface]
		switch {
		case a.Own && len(list) > 0:
			r.end(BadAnswer, fmt.Sprintf("address conflict: %s on %s has %s's own address too", whole(list), l.Iface, r.From.Name))
			return
		case len(list) > 1:
			r.end(BadAnswer, fmt.Sprintf("duplicate address: %d answer for it on %s: %s", len(list), l.Iface, whole(list)))
			if slices.ContainsFunc(list, func(x ARPAnswer) bool { return len(x.Names) == 0 }) {
				r.NotCertain = "one host with several interfaces on this link may answer by each of them, and a proxy for others"
			}
			return
		}
	}
	for _, k := range a.Known {
		list := byLink[k.Iface]
		if len(list) != 1 || k.MAC == "" || strings.EqualFold(k.MAC, list[0].MAC) {
			continue
		}
		what := fmt.Sprintf("%s's neighbour table has %s for it (%s), but %s answers on %s", r.From.Name, k.MAC, k.State, list[0].who(), k.Iface)
		if k.State == "permanent" || k.State == "noarp" {
			r.end(BadAnswer, what)
			r.Hint = fmt.Sprintf("packets go to %s until the entry is removed", k.MAC)
			return
		}
		r.Hint = what + ": the kernel will find out by itself"
	}
	switch {
	case len(all) > 0:
		var parts []string
		for _, l := range a.Links {
			for _, x := range byLink[l.Iface] {
				s := x.who() + " answers on " + l.Iface
				if x.Count == 0 {
					s = x.who() + " uses it on " + l.Iface
				} else {
					s += ", " + x.MS.String()
				}
				parts = append(parts, s)
			}
		}
		r.end(OK, strings.Join(parts, "; "))
		if len(parts) > 1 {
			r.NotCertain = "it is answered for on several links: that may be one host, or several with the same address"
		}
	case refused.Class != "":
		r.end(refused.Class, fmt.Sprintf("cannot ask on %s: %s", refused.Detail, refused.Reason))
	case sent == 0:
		r.end(Failed, "stopped before anything was answered")
	case a.Own:
		r.end(OK, fmt.Sprintf("%s's own address, and nobody else answers for it on %s", r.From.Name, links))
	case !a.OnLink:
		r.end(Timeout, fmt.Sprintf("nobody answers on %s, and it is on no subnet there", links))
		if via != "" {
			r.Hint = "packets to it go by " + via + ": ask for the gateway"
		}
	default:
		r.end(Timeout, fmt.Sprintf("nobody answers on %s", links))
	}
}
