// Package containerd reads containerd's state files: every task (running container) has a bundle in
// <state>/io.containerd.runtime.v2.task/<namespace>/<id> with config.json, and init.pid. These are there while the task is,
// with or without a daemon, so its gRPC API is not needed for what is of use here. The layout is that of containerd 1.4 to 2.x.
//
// What the CRI plugin (Kubernetes) and nerdctl know of a container is in its annotations; addresses and published ports of
// pods are in libcni's cache. Docker's namespaces ("moby") are left to package docker.
package containerd
