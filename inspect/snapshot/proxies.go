package snapshot

// PortProxies are the programs that listen on a published port in place of the container: Docker's userland proxy, and what
// Podman and rootless engines have.
var PortProxies = []string{"docker-proxy", "rootlessport", "rootlesskit", "conmon", "slirp4netns", "pasta", "passt", "pasta.avx2", "passt.avx2"}
