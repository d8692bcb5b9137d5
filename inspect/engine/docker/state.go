package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// fromDisk reads what an engine left: the containers' files below its data-root, the networks' database, and where these
// cannot be read, the bundles of the shims, which tell ids and processes. why is the reason that it was not asked.
func (d *daemon) fromDisk(ctx context.Context, v *host.View, e snapshot.Engine, why error) host.Answer {
	ctx, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	e.Source = "state"
	if e.Endpoint == "" {
		if e.Endpoint = d.url; d.url == "" && len(d.sockets) > 0 {
			e.Endpoint = "unix://" + d.sockets[0]
		}
	}
	var a host.Answer
	var notHere *NotHereError
	var unsupported *UnsupportedEndpointError
	if d.url != "" || errors.As(why, &notHere) || errors.As(why, &unsupported) || d.strange(v) {
		if d.url == "" && !d.asked && errors.Is(why, syscall.ECONNREFUSED) {
			return a // a socket that was left behind
		}
		// Nothing on this machine's disks is certain to be that engine's.
		a.Engine = &e
		a.Gap(needs(why), why)
		return a
	}
	s := &remains{d: d, v: v, root: d.place.Root}
	dir, err := s.dataRoot()
	if dir != "" {
		e.StateDir = dir
	}
	docs, failed := s.containers(ctx, dir)
	if err == nil {
		err = failed
	}
	running := d.proc != nil || len(d.shims) > 0
	if !running && !d.asked && len(docs) == 0 && !errors.Is(why, fs.ErrPermission) && !errors.Is(why, context.DeadlineExceeded) {
		if dir == "" || err == nil {
			// A socket file that nobody listens at, and nothing that ever ran: there is no engine here.
			return host.Answer{}
		}
	}
	e.Swarm = s.swarm(dir)
	a.Engine = &e
	home := d.home()
	for i := range docs {
		w := docs[i].workload("state")
		p := a.Locate(v, &w, docs[i].State.Pid, home, s.root)
		if p == nil && w.Namespace == "" && (w.State == "running" || w.State == "paused") && w.Mode != "host" {
			// The file says what was when it was written.
			w.State = "unknown"
		}
		a.Workloads = append(a.Workloads, w)
	}
	s.bundles(&a, docs)
	share(&a)
	a.Networks = s.networks(dir, docs)
	a.Services = servicesOf(docs)
	d.nameless(v, a.Engine)

	read := "its state files were read instead"
	if len(docs) == 0 {
		read = "no state files of it could be read"
		if err == nil {
			read = "its state files tell of no container"
		}
	}
	what := needs(why)
	if path := (*fs.PathError)(nil); errors.Is(why, fs.ErrPermission) && errors.As(why, &path) {
		switch {
		case path.Op == "connect to" && s.root.Prefix != "":
			// The group's name is that host's affair.
			what = "root, the group that owns the socket, or CAP_DAC_OVERRIDE"
		case path.Op == "look into", s.root.Prefix != "":
			what = host.Needs(why)
		}
	}
	a.Gap(what, fmt.Errorf("%w: %s", why, read))
	// Whoever may not open the socket may not read the files: once is enough.
	if err != nil && !errors.Is(err, fs.ErrNotExist) && (!errors.Is(why, fs.ErrPermission) || !errors.Is(err, fs.ErrPermission)) {
		a.Gap(host.Needs(err), err)
	}
	return a
}

// strange tells whether nothing but a socket is known of the engine while another one has a process in the same mount namespace: the files
// there are that one's.
func (d *daemon) strange(v *host.View) bool {
	if d.proc != nil || len(d.shims) > 0 {
		return false
	}
	for _, p := range v.Table.Named("dockerd") {
		if place, ok := v.PlaceOf(p); ok && place == d.place {
			return true
		}
	}
	return false
}

// remains is an engine's files.
type remains struct {
	d    *daemon
	v    *host.View
	root host.Root
}

// dataRoot finds the folder with the containers: as configured, as the bundles of its shims say ("…/containers/<id>/hosts" is
// mounted into every container), or the default one. With userns-remap it is a folder <uid>.<gid> in that one.
func (s *remains) dataRoot() (string, error) {
	for _, p := range s.d.shims {
		if dir := s.fromBundle(p); dir != "" {
			return dir, nil
		}
	}
	dir := first(s.d.dataRoot, defaultDataRoot)
	_, err := s.root.Stat(path.Join(dir, "containers"))
	if err == nil {
		return dir, nil
	}
	if names, e := s.root.ReadDir(dir); e == nil {
		for _, name := range names {
			uid, gid, ok := strings.Cut(name, ".")
			if _, err1 := strconv.Atoi(uid); !ok || err1 != nil {
				continue
			}
			if _, err2 := strconv.Atoi(gid); err2 != nil {
				continue
			}
			remapped := path.Join(dir, name)
			if _, err := s.root.Stat(path.Join(remapped, "containers")); err == nil {
				return remapped, nil
			}
		}
	}
	return "", err
}

// bundle is the part of an OCI runtime configuration that is of use here.
type bundle struct {
	Hostname string `json:"hostname"`
	Mounts   []struct {
		Destination string `json:"destination"`
		Source      string `json:"source"`
	} `json:"mounts"`
}

// shimBundle reads the bundle of a shim, which is its working folder.
func (s *remains) shimBundle(p *netns.Process) (dir string, b bundle, ok bool) {
	id := shimID(p)
	address := host.Arg(p.Args, "-address", "--address")
	for _, state := range []string{
		path.Join(path.Dir(address), "daemon"), // dockerd's own containerd: state folder <exec-root>/containerd/daemon
		path.Dir(address),                      // the machine's: /run/containerd
	} {
		dir := path.Join(state, "io.containerd.runtime.v2.task/moby", id)
		data, err := s.root.ReadFile(path.Join(dir, "config.json"), maxConfig)
		if err == nil && json.Unmarshal(data, &b) == nil {
			return dir, b, true
		}
	}
	return "", b, false
}

func (s *remains) fromBundle(p *netns.Process) string {
	_, b, ok := s.shimBundle(p)
	if !ok {
		return ""
	}
	tail := "/containers/" + shimID(p) + "/"
	for _, m := range b.Mounts {
		if dir, _, ok := strings.Cut(m.Source, tail); ok && path.IsAbs(dir) {
			return dir
		}
	}
	return ""
}

// bundles adds the containers that only the shims tell of.
func (s *remains) bundles(a *host.Answer, docs []document) {
	known := map[string]bool{}
	for i := range docs {
		known[docs[i].ID] = true
	}
	for _, p := range s.d.shims {
		id := shimID(p)
		if known[id] {
			continue
		}
		w := (&document{ID: id}).workload("state")
		w.State = "unknown"
		dir, b, ok := s.shimBundle(p)
		pid := 0
		if ok {
			w.Hostname = b.Hostname
			if data, err := s.root.ReadFile(path.Join(dir, "init.pid"), 64); err == nil {
				pid, _ = strconv.Atoi(strings.TrimSpace(string(data)))
			}
		}
		if a.Locate(s.v, &w, pid, p, s.root) != nil {
			w.State = "running"
		}
		a.Workloads = append(a.Workloads, w)
	}
}

// containers reads every container's files. One that is broken or just going away is left out; only what keeps all of them
// from being read is an error.
func (s *remains) containers(ctx context.Context, dir string) ([]document, error) {
	if dir == "" {
		return nil, nil
	}
	folder := path.Join(dir, "containers")
	ids, err := s.root.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var docs []document
	var broken []string
	for i, id := range ids {
		if ctx.Err() != nil {
			return docs, fmt.Errorf("%d of %d containers' files were not read in time", len(ids)-i, len(ids))
		}
		if !isID(id) {
			continue
		}
		doc, err := readContainer(s.root, path.Join(folder, id))
		switch {
		case err == nil && doc.ID == id:
			docs = append(docs, doc)
		case errors.Is(err, fs.ErrNotExist):
		default:
			broken = append(broken, short(id))
		}
	}
	if len(broken) > 0 {
		return docs, &BrokenFilesError{Folder: s.root.Path(folder), IDs: broken}
	}
	return docs, nil
}

// BrokenFilesError says that state files do not have the shape that Docker gives them.
type BrokenFilesError struct {
	Folder string
	IDs    []string
}

func (e *BrokenFilesError) Error() string {
	return fmt.Sprintf("%s: the files of %s are not readable as Docker's", e.Folder, strings.Join(e.IDs, ", "))
}

// readContainer reads config.v2.json and hostconfig.json of one container.
func readContainer(root host.Root, dir string) (document, error) {
	data, err := root.ReadFile(path.Join(dir, "config.v2.json"), maxConfig)
	if err != nil {
		return document{}, err
	}
	doc, err := parseConfig(data)
	if err != nil {
		return document{}, err
	}
	if data, err := root.ReadFile(path.Join(dir, "hostconfig.json"), maxConfig); err == nil {
		doc.HostConfig = parseHostConfig(data)
	}
	return doc, nil
}

// parseConfig parses config.v2.json.
func parseConfig(data []byte) (document, error) {
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return document{}, err
	}
	if !isID(doc.ID) {
		return document{}, errors.New("it has no container id")
	}
	// Not of this file: the API's words are not Docker's own.
	doc.State.Status = ""
	return doc, nil
}

// parseHostConfig parses hostconfig.json; a broken one says nothing.
func parseHostConfig(data []byte) hostConfig {
	var hc hostConfig
	if err := json.Unmarshal(data, &hc); err != nil {
		return hostConfig{}
	}
	return hc
}
