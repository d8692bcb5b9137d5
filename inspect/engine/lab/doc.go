// Package lab reads the labs of nscope itself (nscope lab up) from the files in which they are written down: each host of a lab is
// an engine, nested in the machine, with the containers, networks and services that the lab says it has.
//
// It only reads files. Which namespace is which the kernel says: the name under /run/netns is one, and a process is a lab's by
// its command line and the namespace that it is in. A lab that is being made, or that was taken away meanwhile, shows as far as it is there.
package lab
