package topo

type names struct{}
