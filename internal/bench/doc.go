// Package bench measures nscope's speed and size as ratios within one run (`make bench`): machines differ, ratios less so.
//
// A host with N namespaces is made: a bridge, and N namespaces with one veth each on it. The floor is a bare loop that
// enters each namespace once and dumps links, addresses, routes, rules, neighbours and FDB without looking at them.
package bench
