package cmd

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/probe"
)

// probeFlags are the flags of all kinds; each kind has some of them.
type probeFlags struct {
	count, size                       int
	interval, timeout, duration, hold seconds
	src, iface                        string
	srcPort                           uint16
	v4, v6, watch                     bool

	ttl int
	df  bool

	dnsType, server string
	tcp             bool

	req     probe.Request
	head    bool
	by      string
	maxHops int

	udp, reverse bool
	streams      int
	rate         string

	http, bench bool
	port        uint16

	matrixTCP uint16
	yes       bool
}

// seconds is a time that is given as "1.5s", "200ms", or as a number of seconds, as ping takes it.
type seconds time.Duration

func (s *seconds) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

func (s *seconds) Type() string { return "time" }

func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.Abs(f) > 1e8 {
			return fmt.Errorf("%q is no time, such as 500ms, 2s or 1.5 (seconds)", text)
		}
		d = time.Duration(f * float64(time.Second))
	}
	if d <= 0 {
		return fmt.Errorf("%q is no time that could pass", text)
	}
	*s = seconds(d)
	return nil
}

// commonFlags are those that kinds share, in the order of the help, each with how it is added.
var commonFlags = []struct {
	name string
	add  func(c *cobra.Command, f *probeFlags)
}{
	{"count", func(c *cobra.Command, f *probeFlags) {
		c.Flags().IntVarP(&f.count, "count", "c", 0, "how many `TIMES` to ask")
	}},
	{"interval", func(c *cobra.Command, f *probeFlags) {
		c.Flags().VarP(&f.interval, "interval", "i", "`TIME` between two attempts (500ms, 2s, 0.2)")
	}},
	{"timeout", func(c *cobra.Command, f *probeFlags) {
		c.Flags().VarP(&f.timeout, "timeout", "W", "how long a `TIME` to wait for each answer")
	}},
	{"for", func(c *cobra.Command, f *probeFlags) {
		c.Flags().Var(&f.duration, "for", "end after this `TIME`")
	}},
	{"size", func(c *cobra.Command, f *probeFlags) {
		c.Flags().IntVarP(&f.size, "size", "s", 0, "payload in `BYTES`")
	}},
	{"src", func(c *cobra.Command, f *probeFlags) {
		c.Flags().StringVar(&f.src, "src", "", "send from this `ADDRESS` of FROM")
	}},
	{"src-port", func(c *cobra.Command, f *probeFlags) {
		c.Flags().Uint16Var(&f.srcPort, "src-port", 0, "send from this `PORT`")
	}},
	{"iface", func(c *cobra.Command, f *probeFlags) {
		c.Flags().StringVar(&f.iface, "iface", "", "send by this `INTERFACE` of FROM")
	}},
	{"family", func(c *cobra.Command, f *probeFlags) {
		c.Flags().BoolVarP(&f.v4, "ipv4", "4", false, "IPv4 only")
		c.Flags().BoolVarP(&f.v6, "ipv6", "6", false, "IPv6 only")
	}},
	{"watch", func(c *cobra.Command, f *probeFlags) {
		c.Flags().BoolVar(&f.watch, "watch", false, "repeat until ctrl-C, every --interval (at least 1s), a line each time")
	}},
}

// options makes the probe's options of the flags.
func (f *probeFlags) options(c *cobra.Command) (probe.Options, error) {
	o := probe.Options{
		Count: f.count, Interval: time.Duration(f.interval), Timeout: time.Duration(f.timeout), For: time.Duration(f.duration),
		Size: f.size, SrcPort: f.srcPort, Iface: f.iface, TTL: f.ttl, DF: f.df, Hold: time.Duration(f.hold),
	}
	changed := c.Flags().Changed
	switch {
	case f.v4 && f.v6:
		return o, usagef("-4 and -6 contradict each other: without either both are tried")
	case changed("count") && f.count <= 0:
		return o, usagef("--count %d: at least 1", f.count)
	case f.size < 0 || f.size > 65507:
		return o, usagef("--size %d: from 0 to 65507 bytes", f.size)
	case changed("ttl") && (f.ttl < 1 || f.ttl > 255):
		return o, usagef("--ttl %d: from 1 to 255", f.ttl)
	case f.watch && changed("interval") && o.Interval < time.Second:
		return o, usagef("--interval %v: --watch asks once a second at most", o.Interval)
	}
	if changed("size") && f.size == 0 {
		o.Size = -1
	}
	if f.src != "" {
		a, err := netip.ParseAddr(f.src)
		if err != nil || a.Zone() != "" {
			return o, usagef("--src %q is no address", f.src)
		}
		o.Src = a.Unmap()
	}
	switch {
	case f.v4:
		o.Family = 4
	case f.v6:
		o.Family = 6
	}
	if o.Family != 0 && o.Src.IsValid() && o.Src.Is4() != (o.Family == 4) {
		return o, usagef("--src %v is no IPv%d address", o.Src, o.Family)
	}
	return o, nil
}

// parseRate reads bits a second: "100M", "1.5G", "640k".
func parseRate(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	unit := 1.0
	num := s
	switch strings.ToLower(s[len(s)-1:]) {
	case "k":
		unit, num = 1e3, s[:len(s)-1]
	case "m":
		unit, num = 1e6, s[:len(s)-1]
	case "g":
		unit, num = 1e9, s[:len(s)-1]
	}
	n, err := strconv.ParseFloat(num, 64)
	if err != nil || math.IsNaN(n) || n*unit < 1 || n*unit > 1e15 {
		return 0, usagef("--rate %q is no rate in bits a second, such as 100M", s)
	}
	return int64(n * unit), nil
}
