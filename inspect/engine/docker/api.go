package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/snapshot"
)

// OldAPIError says that an engine's API is older than this program speaks.
type OldAPIError struct{ Version string }

func (e *OldAPIError) Error() string {
	return "it speaks API " + e.Version + ", older than " + client.MinAPIVersion
}

// UnsupportedEndpointError says that an endpoint is of a kind that is not spoken.
type UnsupportedEndpointError struct{ URL, Why string }

func (e *UnsupportedEndpointError) Error() string { return e.URL + ": " + e.Why }

// NotHereError says that an engine's containers do not run on this machine.
type NotHereError struct{ URL string }

func (e *NotHereError) Error() string {
	return e.URL + ": none of its containers runs on this host, they are left out"
}

// ErrNotRunning says that there is a socket but no engine, and that connecting might start one.
var ErrNotRunning = errors.New("no dockerd is running")

// parallel is how many questions an engine is asked at a time. dockerd answers an inspect in a few milliseconds; more than
// this only makes its own locks busier.
const parallel = 8

// conversation is one engine while it is being asked.
type conversation struct {
	*client.Client
	http *http.Client
	done func()
	// endpoint is its URL, peer the process that listens there, if it is one of the machine's.
	endpoint string
	peer     int
}

// open connects to the first of the engine's endpoints that accepts.
func (d *daemon) open(ctx context.Context) (*conversation, error) {
	if d.url != "" {
		address, err := tcpAddress(d.url)
		if err != nil {
			return nil, err
		}
		return converse(ctx, d.url, "tcp://"+address, func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		})
	}
	var failed error
	for _, name := range d.sockets {
		c, err := converse(ctx, "unix://"+name, "unix://"+name, func(ctx context.Context) (net.Conn, error) {
			return d.place.Root.Dial(ctx, name)
		})
		if err == nil {
			return c, nil
		}
		// A socket that is not there says less than one that refuses.
		if failed == nil || errors.Is(failed, fs.ErrNotExist) {
			failed = err
		}
	}
	if failed == nil {
		failed = &fs.PathError{Op: "connect to", Path: d.place.Root.Path(defaultSocket), Err: fs.ErrNotExist}
	}
	return nil, failed
}

// tcpAddress returns host:port of a URL. TLS is not spoken: its keys are somebody's, and a local engine has a socket.
func tcpAddress(url string) (string, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	rest, _, _ = strings.Cut(rest, "/")
	switch {
	case !ok || rest == "":
		return "", &UnsupportedEndpointError{url, "not a URL such as unix:///run/docker.sock or tcp://127.0.0.1:2375"}
	case scheme == "tcp" || scheme == "http":
		if _, _, err := net.SplitHostPort(rest); err != nil {
			rest = net.JoinHostPort(strings.Trim(rest, "[]"), "2375")
		}
		return rest, nil
	case scheme == "https" || scheme == "tcp+tls":
		return "", &UnsupportedEndpointError{url, "TLS is not spoken to engines: name its unix socket"}
	}
	return "", &UnsupportedEndpointError{url, scheme + " is not spoken to engines: name a unix socket, or run nscope on that host"}
}

func converse(ctx context.Context, endpoint, url string, dial func(context.Context) (net.Conn, error)) (*conversation, error) {
	// The client's own errors no longer tell refused from forbidden, so the door is tried first.
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	peer := host.PeerPID(conn)
	conn.Close()
	hc, done := host.HTTPClient(dial)
	// In this order: WithHost configures the transport that it finds, which is to be ours.
	c, err := client.New(client.WithHost(url), client.WithHTTPClient(hc), client.WithScheme("http"), client.WithUserAgent("nscope"))
	if err != nil {
		done()
		return nil, err
	}
	return &conversation{Client: c, http: hc, done: done, endpoint: endpoint, peer: peer}, nil
}

// ask reads an engine by its API.
func (d *daemon) ask(ctx context.Context, v *host.View, e snapshot.Engine) (host.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	if d.activated(v) {
		return host.Answer{}, ErrNotRunning
	}
	c, err := d.open(ctx)
	if err != nil {
		return host.Answer{}, d.explain(ctx, v, err)
	}
	defer c.done()
	e.Endpoint = c.endpoint
	ping, err := c.Ping(ctx, client.PingOptions{})
	if err != nil {
		return host.Answer{}, d.explain(ctx, v, err)
	}
	if ping.APIVersion == "" {
		return host.Answer{}, errors.New("what listens there does not speak Docker's API")
	}
	if versions.LessThan(ping.APIVersion, client.MinAPIVersion) {
		return host.Answer{}, &OldAPIError{Version: ping.APIVersion}
	}
	// Whoever listens is the daemon, unless it is systemd, which listens for it.
	if p := v.Table.Get(c.peer); d.proc == nil && p != nil && p.PID != 1 && p.Comm != "systemd" {
		d.proc, e.PID, e.Home = p, p.PID, p.NetNS
	}
	r := &reading{conversation: c, d: d, v: v}
	podman := c.isPodman(ctx)
	if podman {
		e.Kind = "podman"
	}
	a, err := r.read(ctx, e)
	if err == nil && podman && d.supplement != nil && a.Networks != nil {
		d.supplement(ctx, c.get, &a)
	}
	return a, err
}

// isPodman tells whether the engine is Podman, which says so in every answer of its Docker-compatible API.
func (c *conversation) isPodman(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
	if err != nil {
		return false
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.Header.Get("Libpod-Api-Version") != ""
}

// get fetches JSON by a path that the client does not know.
func (c *conversation) get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

// explain makes errors say what the user can make use of.
func (d *daemon) explain(ctx context.Context, v *host.View, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		return fmt.Errorf("it does not answer within %v: %w", v.Timeout, context.DeadlineExceeded)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens: %w", err)
	}
	return err
}

// needs tells what would let an engine answer.
func needs(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "root or group docker"
	case errors.Is(err, context.DeadlineExceeded):
		return "an engine that answers, or a longer --timeout"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrNotRunning):
		return "a running engine"
	}
	return ""
}

// reading collects an engine's answers.
type reading struct {
	*conversation
	d *daemon
	v *host.View
	a host.Answer

	mu      sync.Mutex
	dataDir string
}

func (r *reading) read(ctx context.Context, e snapshot.Engine) (host.Answer, error) {
	info, err := r.Info(ctx, client.InfoOptions{})
	if err != nil {
		return host.Answer{}, r.d.explain(ctx, r.v, err)
	}
	in := &info.Info
	e.Reachable, e.Name, e.Version, e.APIVersion = true, in.Name, in.ServerVersion, r.ClientVersion()
	r.dataDir, r.a.Identity = in.DockerRootDir, in.ID
	list, err := r.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return host.Answer{}, r.d.explain(ctx, r.v, err)
	}
	r.a.Engine = &e

	var wg sync.WaitGroup
	wg.Go(func() { r.networks(ctx) })
	if in.Swarm.LocalNodeState != "" && in.Swarm.LocalNodeState != "inactive" {
		wg.Go(func() { r.swarm(ctx, &e, &in.Swarm) })
	}
	docs := r.containers(ctx, list.Items)
	wg.Wait()
	r.workloads(docs)
	if e.Swarm != nil && !e.Swarm.Manager {
		r.taskServices()
	}
	if r.d.url != "" && !r.isHere() {
		a := host.Answer{Engine: &e, Identity: in.ID}
		a.Gap("a socket of an engine on this host", &NotHereError{URL: r.d.url})
		return a, nil
	}
	return r.a, nil
}

// gap may be called by several goroutines.
func (r *reading) gap(needs string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.a.Gap(needs, err)
}

// containers inspects every container of a list: only that tells the pid, the sandbox and the DNS. For those that could not be
// inspected in time the list has to do.
func (r *reading) containers(ctx context.Context, list []container.Summary) []document {
	docs := make([]document, len(list))
	var wg sync.WaitGroup
	next := make(chan int)
	missing := 0
	for range min(parallel, len(list)) {
		wg.Go(func() {
			for i := range next {
				result, err := r.ContainerInspect(ctx, list[i].ID, client.ContainerInspectOptions{})
				if err == nil {
					err = json.Unmarshal(result.Raw, &docs[i])
				}
				if err == nil && docs[i].ID == list[i].ID {
					continue
				}
				docs[i] = document{}
				// A container that went away between the two questions is no loss.
				if isGone(err) {
					continue
				}
				docs[i] = summary(&list[i])
				r.mu.Lock()
				missing++
				r.mu.Unlock()
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	wg.Wait()
	if missing > 0 {
		needs := ""
		if ctx.Err() != nil {
			needs = "a longer --timeout"
		}
		r.gap(needs, fmt.Errorf("%d of %d containers could not be inspected: their process, sandbox and DNS are missing", missing, len(list)))
	}
	return docs
}

// isGone tells whether the engine says that there is no such thing (any more).
func isGone(err error) bool { return errdefs.IsNotFound(err) }

// summary makes a document of what a list tells.
func summary(s *container.Summary) document {
	var d document
	d.ID = s.ID
	if len(s.Names) > 0 {
		d.Name = s.Names[0]
		// Links give more names, which have two slashes.
		for _, name := range s.Names {
			if strings.Count(name, "/") == 1 {
				d.Name = name
			}
		}
	}
	d.State.Status = string(s.State)
	d.Config.Image, d.Config.Labels = s.Image, s.Labels
	d.HostConfig.NetworkMode = s.HostConfig.NetworkMode
	for _, p := range s.Ports {
		if d.NetworkSettings.Ports == nil {
			d.NetworkSettings.Ports = map[string][]binding{}
		}
		key := fmt.Sprintf("%d/%s", p.PrivatePort, p.Type)
		list := d.NetworkSettings.Ports[key]
		if p.PublicPort != 0 {
			b := binding{HostPort: fmt.Sprint(p.PublicPort)}
			if p.IP.IsValid() {
				b.HostIp = p.IP.String()
			}
			list = append(list, b)
		}
		d.NetworkSettings.Ports[key] = list
	}
	if s.NetworkSettings != nil {
		// The strict types of the list and the lenient ones here have the same JSON.
		if data, err := json.Marshal(s.NetworkSettings.Networks); err == nil {
			_ = json.Unmarshal(data, &d.NetworkSettings.Networks)
		}
	}
	return d
}

// workloads converts what was inspected and finds the processes.
func (r *reading) workloads(docs []document) {
	home := r.d.home()
	for i := range docs {
		if docs[i].ID == "" {
			continue
		}
		w := docs[i].workload("api")
		r.a.Locate(r.v, &w, docs[i].State.Pid, home, r.d.place.Root)
		r.a.Workloads = append(r.a.Workloads, w)
	}
	share(&r.a)
}

// share gives containers that have no process here the namespace that they are said to share: the engine's own for
// host mode, another container's for container mode.
func share(a *host.Answer) {
	byID := map[string]*snapshot.Workload{}
	for i := range a.Workloads {
		byID[a.Workloads[i].ID] = &a.Workloads[i]
	}
	for i := range a.Workloads {
		w := &a.Workloads[i]
		if w.Namespace != "" || w.State != "running" && w.State != "paused" {
			continue
		}
		if w.Mode == "host" && a.Engine != nil {
			w.Namespace = a.Engine.Home
		} else if id, ok := strings.CutPrefix(w.Mode, "container:"); ok && byID[id] != nil {
			w.Namespace = byID[id].Namespace
		}
	}
}

// isHere tells whether an engine that was reached by network is this machine's: the kernel shows one of its containers.
func (r *reading) isHere() bool {
	for i := range r.a.Workloads {
		if r.a.Workloads[i].PID != 0 {
			return true
		}
	}
	return false
}

// networks lists the networks; only inspecting tells the peers of an overlay.
func (r *reading) networks(ctx context.Context) {
	list, err := r.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		r.gap("", fmt.Errorf("networks: %w", r.d.explain(ctx, r.v, err)))
		return
	}
	networks := make([]snapshot.Network, 0, len(list.Items))
	var wg sync.WaitGroup
	docs := make([]networkDoc, len(list.Items))
	limit := make(chan struct{}, parallel)
	for i := range list.Items {
		data, err := json.Marshal(list.Items[i])
		if err == nil {
			err = json.Unmarshal(data, &docs[i])
		}
		if err != nil || docs[i].Driver != "overlay" {
			continue
		}
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			result, err := r.NetworkInspect(ctx, docs[i].Id, client.NetworkInspectOptions{})
			if err != nil {
				if !isGone(err) {
					r.gap("", fmt.Errorf("network %s: %w", docs[i].Name, r.d.explain(ctx, r.v, err)))
				}
				return
			}
			_ = json.Unmarshal(result.Raw, &docs[i])
		})
	}
	wg.Wait()
	for i := range docs {
		// A configuration only is a template for others and exists nowhere.
		if docs[i].Id != "" && !docs[i].ConfigOnly {
			networks = append(networks, docs[i].convert("api"))
		}
	}
	r.mu.Lock()
	r.a.Networks = networks
	r.mu.Unlock()
}
