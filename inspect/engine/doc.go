// Package engine tells who owns a network namespace: the containers, pods, networks and services of every container
// engine on the machine, as the engines tell or, with no engine answering, as their state files do.
//
//	result := engine.Read(ctx, engine.Options{Proc: "/proc", Processes: found.Processes})
//
// Each kind of engine is a family with a package of its own (docker, podman, containerd, crio, lab, cgroup, and flannel, which has no
// containers); [families] is the list of them. Engines are found by their processes, sockets, shims and folders, in every
// mount namespace where one may be: a nested engine (Docker in Docker, kind) is read through /proc/<pid>/root. All are
// read in parallel, each with its own deadline, so a hanging one costs at most that and becomes a gap.
//
// What is read is files, unix sockets and HTTP. This package enters no namespace, uses no netlink, runs no program and
// changes nothing.
package engine
