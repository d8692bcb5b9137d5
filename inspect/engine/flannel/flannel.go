package flannel

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/engine/internal/host"
	"github.com/nscope/nscope/inspect/snapshot"
)

const (
	envFile = "/run/flannel/subnet.env"
	maxEnv  = 64 << 10
	// DefaultPrefix is flannel's --etcd-prefix.
	DefaultPrefix = "/coreos.com/network"
)

// Read reads the environment file of every place, and the leases of every etcd. What cannot be read of an etcd that was named
// is a gap; a file that is not there is none.
func Read(ctx context.Context, v *host.View, etcd []string) ([]snapshot.Flannel, []snapshot.Gap) {
	list := []snapshot.Flannel{}
	var gaps []snapshot.Gap
	type file struct{ dev, ino uint64 }
	seen := map[file]bool{}
	for _, place := range v.Places {
		data, err := place.Root.ReadFile(envFile, maxEnv)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) && host.Needs(err) == "" {
				gaps = append(gaps, snapshot.Gap{Reader: "flannel", Error: err.Error()})
			}
			continue
		}
		// Mount namespaces share files; the same one is one.
		if info, err := place.Root.Stat(envFile); err == nil {
			if seen[file{info.Dev, info.Ino}] {
				continue
			}
			seen[file{info.Dev, info.Ino}] = true
		}
		f := ParseEnv(data)
		f.Path = place.Root.Path(envFile)
		list = append(list, f)
	}
	for _, u := range etcd {
		f, err := leases(ctx, v, u)
		if err != nil {
			gaps = append(gaps, snapshot.Gap{Reader: "flannel etcd " + u, Error: err.Error(), Needs: "an etcd that answers there"})
			continue
		}
		list = append(list, f)
	}
	return list, gaps
}

// ParseEnv parses subnet.env: KEY=VALUE lines as flannel writes them. Unknown keys and broken values are left out.
func ParseEnv(data []byte) snapshot.Flannel {
	f := snapshot.Flannel{Leases: []snapshot.FlannelLease{}}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch strings.TrimSpace(key) {
		case "FLANNEL_NETWORK":
			// A node in several networks has them separated by commas; the first is that of its subnet.
			value, _, _ = strings.Cut(value, ",")
			f.Network = prefix(value)
		case "FLANNEL_SUBNET":
			f.Subnet = prefix(value)
		case "FLANNEL_MTU":
			if n, err := strconv.ParseUint(value, 10, 16); err == nil {
				f.MTU = int(n)
			}
		case "FLANNEL_IPMASQ":
			f.IPMasq = value == "true"
		}
	}
	return f
}

func prefix(s string) netip.Prefix {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// config is the value of <prefix>/config.
type config struct {
	Network string
	Backend struct {
		Type string
		VNI  *uint32
	}
}

// lease is the value of <prefix>/subnets/<address>-<bits>.
type lease struct {
	PublicIP    string
	BackendType string
	BackendData struct {
		VNI     uint32
		VtepMAC string
	}
}

// KV is one key with its value.
type KV struct{ Key, Value []byte }

// ParseRange parses etcd's answer to a range request.
func ParseRange(data []byte) ([]KV, error) {
	var answer struct {
		KVs []struct {
			Key   []byte `json:"key"` // encoding/json reads base64 into bytes
			Value []byte `json:"value"`
		} `json:"kvs"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("this is not etcd's JSON gateway: %w", err)
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	list := make([]KV, len(answer.KVs))
	for i, kv := range answer.KVs {
		list[i] = KV{kv.Key, kv.Value}
	}
	return list, nil
}

// FromKVs makes a Flannel of the keys below flannel's prefix.
func FromKVs(kvs []KV, keyPrefix string) snapshot.Flannel {
	f := snapshot.Flannel{Leases: []snapshot.FlannelLease{}}
	for _, kv := range kvs {
		rest, ok := strings.CutPrefix(string(kv.Key), keyPrefix+"/")
		if !ok {
			continue
		}
		if rest == "config" {
			var c config
			if json.Unmarshal(kv.Value, &c) != nil {
				continue
			}
			f.Network, f.Backend = prefix(c.Network), cmp.Or(strings.ToLower(c.Backend.Type), "udp")
			if f.Backend == "vxlan" {
				// flannel's default.
				f.VNI = 1
				if c.Backend.VNI != nil {
					f.VNI = *c.Backend.VNI
				}
			}
			continue
		}
		name, ok := strings.CutPrefix(rest, "subnets/")
		if !ok {
			continue
		}
		// "10.244.31.0-24"; with IPv6 a second one follows after "&".
		name, _, _ = strings.Cut(name, "&")
		subnet := prefix(strings.Replace(name, "-", "/", 1))
		var l lease
		if !subnet.IsValid() || json.Unmarshal(kv.Value, &l) != nil {
			continue
		}
		ip, err := netip.ParseAddr(l.PublicIP)
		if err != nil {
			continue
		}
		f.Leases = append(f.Leases, snapshot.FlannelLease{Subnet: subnet, PublicIP: ip, Backend: l.BackendType, VtepMAC: strings.ToLower(l.BackendData.VtepMAC)})
	}
	slices.SortFunc(f.Leases, func(a, b snapshot.FlannelLease) int {
		return cmp.Or(a.Subnet.Addr().Compare(b.Subnet.Addr()), cmp.Compare(a.Subnet.Bits(), b.Subnet.Bits()))
	})
	return f
}

// leases asks an etcd.
func leases(ctx context.Context, v *host.View, raw string) (snapshot.Flannel, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return snapshot.Flannel{}, errors.New("not a URL such as http://127.0.0.1:2379")
	}
	ctx, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	keys := cmp.Or(strings.TrimSuffix(u.Path, "/"), DefaultPrefix)
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "2379")
	}
	client, done := host.HTTPClient(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	})
	defer done()
	// A range from "<prefix>/" to "<prefix>0": '0' is the letter after '/'.
	body, err := json.Marshal(map[string]string{
		"key":       base64.StdEncoding.EncodeToString([]byte(keys + "/")),
		"range_end": base64.StdEncoding.EncodeToString([]byte(keys + "0")),
	})
	if err != nil {
		return snapshot.Flannel{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.Scheme+"://"+u.Host+"/v3/kv/range", bytes.NewReader(body))
	if err != nil {
		return snapshot.Flannel{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return snapshot.Flannel{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return snapshot.Flannel{}, err
	}
	kvs, err := ParseRange(data)
	if resp.StatusCode != http.StatusOK {
		return snapshot.Flannel{}, errors.Join(errors.New(resp.Status), err)
	}
	if err != nil {
		return snapshot.Flannel{}, err
	}
	f := FromKVs(kvs, keys)
	f.Path = raw
	return f, nil
}
