package filter

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Keyword tells whether a word is one of the language, with which a filter may begin.
func Keyword(s string) bool {
	switch s {
	case "and", "or", "mask", "length", "byte":
		return false
	}
	if s == "len" {
		return true
	}
	_, isConstant := constants[s]
	return keyword(s) && !isConstant
}

// Operand tells whether a word may follow "host" as an address, or the beginning of one.
func Operand(s string) bool {
	if _, err := netip.ParseAddr(strings.TrimRight(s, ")")); err == nil {
		return true
	}
	return false
}

// Words are the words that a person types, for completion.
func Words() []string {
	out := []string{"and", "or", "not", "src", "dst", "host", "net", "port", "portrange", "proto", "less", "greater", "broadcast", "multicast", "vlan", "mpls", "inbound", "outbound",
		"inner", "outer", "vni", "encap", "container", "service", "dir"}
	out = append(out, slices.Collect(maps.Keys(protocols))...)
	slices.Sort(out)
	return out
}

// Encaps are the words that may follow "encap".
func Encaps() []string { return slices.Sorted(maps.Keys(encaps)) }
