// Package podman reads Podman: by its service's API (Docker's, and its own for pods and networks), and from its files, which is
// all there is where no service runs, since Podman has no daemon.
//
// The files (Podman 4 and 5): containers.json and <id>/userdata/config.json of containers/storage, the networks in
// /etc/containers/networks/*.json (netavark) and /etc/cni/net.d/*.conflist (CNI). Podman's database is not read, so without the API
// labels, published ports and addresses are unknown; addresses are the kernel's to tell anyway.
package podman
