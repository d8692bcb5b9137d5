// Package vmtest runs tests of other packages in a virtual machine (fixtures/vm), whose kernel has what the one they are
// developed on lacks: 802.1q, VLAN filtering bridges, ipvlan, tunnels, ESP, IPVS. There every mode of lab passes, and a
// real swarm balances. `make test-vm` runs it, and so does `make test`.
package vmtest
