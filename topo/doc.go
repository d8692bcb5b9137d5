// Package topo turns one or several snapshots into a graph: namespaces, links, containers, networks and services, and
// the relations between them that the kernel proves or an engine claims.
//
//	g := topo.Build(snap)             // one host
//	g := topo.Build(snapA, snapB)     // several, tunnels joined
//	hits := g.Find("veth1a2b")        // who is behind it
//
// It is pure: it reads nothing, so it answers the same for a live host, a saved file and another host's file, on any
// operating system. A relation is drawn when the kernel proves it; one that only an engine claims carries
// source "engine"; where a proof is ambiguous nothing is drawn and a gap says why.
package topo
