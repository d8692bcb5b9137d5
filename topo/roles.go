package topo

import (
	"path"
	"regexp"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// What Docker's netns files are called: GenerateKey of libnetwork cuts "<n>-<network id>" and "lb_<network id>" to
// twelve characters, as it does a sandbox id.
var (
	overlayFile = regexp.MustCompile(`^([0-9]+)-([0-9a-z]{4,})$`)
	lbFile      = regexp.MustCompile(`^lb_([0-9a-z]{9})$`)
	sandboxFile = regexp.MustCompile(`^[0-9a-f]{12}$`)
)

const ingressFile = "ingress_sbox"

// dockerFile tells whether a mount point lies in a directory where a Docker engine keeps its netns files: …/docker/netns,
// or with another exec-root whatever directory its containers' sandbox keys name.
func (b *builder) dockerFile(p string) bool {
	dir := cleanRun(path.Dir(p))
	return strings.HasSuffix(dir, "/docker/netns") || b.dockerDirs[dir]
}

// collectDockerDirs learns the directories of netns files from the sandbox keys of Docker's containers.
func (b *builder) collectDockerDirs() {
	b.dockerDirs = map[string]bool{}
	for _, w := range b.work {
		if key := w.w.SandboxKey; key != "" && w.kind() == "docker" && sandboxFile.MatchString(path.Base(key)) {
			if dir := cleanRun(path.Dir(key)); dir != "/run/netns" {
				b.dockerDirs[dir] = true
			}
		}
	}
}

// roles gives each namespace its role, by what holds it and what runs in it.
func (b *builder) roles() {
	for _, sp := range b.allSpaces() {
		docker, pod, named := "", "", ""
		for _, h := range sp.ns.Holders {
			if h.Kind != snapshot.HolderMount || h.Path == "" {
				continue
			}
			base := path.Base(h.Path)
			switch {
			case b.dockerFile(h.Path):
				if base != "default" && docker == "" {
					docker = base
				}
			case path.Base(path.Dir(h.Path)) != "netns":
			case podFile(base):
				pod = base
			case named == "":
				named = base
			}
		}
		m, lb := overlayFile.FindStringSubmatch(docker), lbFile.FindStringSubmatch(docker)
		switch {
		case sp.role != "": // host, node
		case docker == ingressFile:
			sp.role, sp.name, sp.dockerName = RoleIngress, docker, docker
		case lb != nil:
			sp.role, sp.name, sp.dockerName, sp.netID = RoleLoadBalancer, docker, docker, lb[1]
		case m != nil && len(docker) == 12:
			sp.role, sp.name, sp.dockerName, sp.netID = RoleOverlay, docker, docker, m[2]
		case len(sp.work) > 0:
			sp.role = RoleContainer
			sp.name = ownerOf(sp).short()
		case sandboxFile.MatchString(docker):
			sp.role, sp.name, sp.dockerName = RoleContainer, docker, docker
		case pod != "":
			sp.role, sp.name = RoleContainer, pod
		case named != "":
			sp.role, sp.name = RoleNamed, named
		default:
			sp.role = RoleOther
		}
		if sp.netID != "" {
			sp.net = b.networkByPrefix(sp, sp.netID)
		}
	}
}

// podFile tells the files that CNI runtimes ("cni-<uuid>") and Podman ("netns-<uuid>") make, one per container.
func podFile(base string) bool {
	for _, prefix := range []string{"cni-", "netns-"} {
		if rest, ok := strings.CutPrefix(base, prefix); ok && len(rest) == 36 && strings.Count(rest, "-") == 4 {
			return true
		}
	}
	return false
}

// nameSpaces names the namespaces that nothing else named.
func (b *builder) nameSpaces() {
	for _, n := range b.nodes {
		if n.Kind != KindNetns {
			continue
		}
		sp := b.raw[n.ID].sp
		n.Name = sp.name
		switch {
		case sp.role == RoleHost:
			n.Name = "host"
		case n.Name == "":
			n.Name = sp.id.Short()
		}
		n.Attrs.Network = sp.networkName()
		if len(sp.work) == 0 && (sp.role == RoleContainer || sp.role == RoleNamed || sp.role == RoleOther) {
			n.Attrs.Mode = b.wiring(sp, false)
		}
	}
}

// networkName is the name of the network that an overlay, load-balancer or ingress namespace serves; where no engine
// names it the part of its id that the file's name has.
func (sp *space) networkName() string {
	if sp.net != nil {
		return sp.net.name
	}
	return sp.netID
}
