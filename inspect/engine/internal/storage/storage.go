package storage

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/engine/internal/oci"
	"github.com/nscope/nscope/inspect/netns"
)

// Store is one storage with its run root.
type Store struct {
	Place host.Place
	// Root and RunRoot are paths in Place.
	Root, RunRoot string
	// Monitors are the conmon processes of its containers.
	Monitors []*netns.Process
}

// Where rootful Podman and CRI-O have them (containers/storage's storage.conf).
const (
	DefaultRoot    = "/var/lib/containers/storage"
	DefaultRunRoot = "/run/containers/storage"
)

// Container is one as the files tell.
type Container struct {
	ID    string
	Names []string
	Image string
	// Config is nil where there is none (any more).
	Config *oci.Config
	// PID is as the engine sees it, 0 for none.
	PID int
}

// Manager tells whose it is: "libpod" or "cri-o", "" for somebody else's (Buildah's working containers).
func (c *Container) Manager() string {
	if c.Config == nil {
		return ""
	}
	a := c.Config.Annotations
	if m := a["io.container.manager"]; m != "" {
		return m
	}
	// Older versions of CRI-O do not say so, but name the container.
	if a["io.kubernetes.cri-o.ContainerID"] != "" || a["io.kubernetes.cri-o.Name"] != "" {
		return "cri-o"
	}
	return ""
}

// Find returns the stores that conmon's command lines name, and those at the default place of every mount namespace.
// Root below a home folder is known from the monitors only: looking into every home folder is not done.
func Find(v *host.View) []Store {
	var stores []Store
	add := func(s Store) *Store {
		for i := range stores {
			if stores[i].Place == s.Place && stores[i].Root == s.Root {
				return &stores[i]
			}
		}
		stores = append(stores, s)
		return &stores[len(stores)-1]
	}
	for _, p := range v.Table.Named("conmon") {
		place, ok := v.PlaceOf(p)
		root, run := fromArgs(p.Args)
		if !ok || root == "" {
			continue
		}
		s := add(Store{Place: place, Root: root, RunRoot: run})
		s.Monitors = append(s.Monitors, p)
	}
	for _, place := range v.Places {
		names, err := place.Root.ReadDir(DefaultRoot)
		if err == nil && slices.ContainsFunc(names, isContainers) {
			add(Store{Place: place, Root: DefaultRoot, RunRoot: DefaultRunRoot})
		}
	}
	return stores
}

// fromArgs finds the roots in conmon's command line: Podman gives them to its exit command, and both engines have the bundle
// (-b) and the pid file (-p) below them.
func fromArgs(args []string) (root, run string) {
	exit := host.Args(args, "--exit-command-arg")
	root, run = host.Arg(exit, "--root"), host.Arg(exit, "--runroot")
	for _, file := range []string{host.Arg(args, "-b", "--bundle"), host.Arg(args, "-p", "--container-pidfile")} {
		i := strings.Index(file, "-containers/")
		if i < 0 {
			continue
		}
		dir := path.Dir(file[:i])
		switch {
		case strings.HasPrefix(dir, "/run/") || strings.HasPrefix(dir, "/var/run/"):
			if run == "" {
				run = dir
			}
		case root == "":
			root = dir
		}
	}
	if root == "" && run == DefaultRunRoot {
		root = DefaultRoot
	}
	return root, run
}

func isContainers(name string) bool { return strings.HasSuffix(name, "-containers") }

// listed is one element of containers.json.
type listed struct {
	ID       string   `json:"id"`
	Names    []string `json:"names"`
	Metadata string   `json:"metadata"` // JSON in a string
}

// Containers reads all of a store's containers, sorted by id. A broken one has no Config; only what keeps all of them from
// being read is an error.
func (s *Store) Containers() ([]Container, error) {
	names, err := s.Place.Root.ReadDir(s.Root)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Container{}
	for _, driver := range names {
		if !isContainers(driver) {
			continue
		}
		dir := path.Join(s.Root, driver)
		data, err := s.Place.Root.ReadFile(path.Join(dir, "containers.json"), 64<<20)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, c := range ParseList(data) {
			static, run := path.Join(dir, c.ID, "userdata"), path.Join(s.RunRoot, driver, c.ID, "userdata")
			for _, bundle := range []string{static, run} {
				if c.Config, err = oci.Read(s.Place.Root, bundle); err == nil {
					break
				}
			}
			c.PID = oci.ReadPID(s.Place.Root, path.Join(run, "pidfile"))
			byID[c.ID] = &c
		}
	}
	list := make([]Container, 0, len(byID))
	for _, id := range host.SortedKeys(byID) {
		list = append(list, *byID[id])
	}
	return list, nil
}

// ParseList parses containers.json; a broken one is empty.
func ParseList(data []byte) []Container {
	var all []listed
	if json.Unmarshal(data, &all) != nil {
		return nil
	}
	var list []Container
	for _, l := range all {
		// The id becomes part of a path.
		if l.ID == "" || l.ID != path.Base(l.ID) || l.ID == ".." || l.ID == "." {
			continue
		}
		var meta struct {
			ImageName string `json:"image-name"`
			Name      string `json:"name"`
		}
		_ = json.Unmarshal([]byte(l.Metadata), &meta)
		c := Container{ID: l.ID, Names: l.Names, Image: meta.ImageName}
		if len(c.Names) == 0 && meta.Name != "" {
			c.Names = []string{meta.Name}
		}
		list = append(list, c)
	}
	return list
}
