package snapshot

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"
)

// sample is a small host with something of everything that redaction has to find.
func sample() *Snapshot {
	nsid := 0
	return &Snapshot{
		Schema: Schema, Tool: "nscope test", Taken: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
		Host: Host{Name: "payroll1", BootID: "0f1e2d3c-0000-0000-0000-000000000000", Engines: []Engine{{ID: "docker@payroll1", Kind: "docker", Name: "payroll1"}}},
		Namespaces: []Namespace{
			{ID: MakeNSID(4, 4026532200), Holders: []Holder{
				{Kind: HolderMount, Path: "/run/docker/netns/1-gz7t7pfi85"}, {Kind: HolderMount, Path: "/run/netns/salaries"}, {Kind: HolderProc, PID: 7, Comm: "payrolld"}},
				Links: []Link{{Index: 2, Name: "eth0", Kind: "veth", MAC: "02:42:0a:00:01:07", Peer: &Peer{Index: 9, NSID: &nsid},
					Addrs: []Addr{{Prefix: netip.MustParsePrefix("10.0.1.7/24")}}}},
				Routes: []Route{{Family: "inet", Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.0.1.1")}, {Family: "inet", Dst: netip.MustParsePrefix("10.0.1.0/24")}}},
			{ID: MakeNSID(4, 4026531840)},
		},
		Workloads: []Workload{{Engine: "docker@payroll1", ID: "abc", Name: "secret-app", Image: "corp.example/secret:1", Labels: map[string]string{"team": "payroll"},
			Endpoints: []Endpoint{{NetworkName: "salaries", Addr: netip.MustParsePrefix("10.0.1.7/24"), MAC: "02:42:0a:00:01:07", Aliases: []string{"hidden-alias"}}}}},
		Networks: []Network{{Engine: "docker@payroll1", ID: "n1", Name: "salaries", Driver: "overlay", VNIs: []uint32{4097}, Subnets: []Subnet{{Subnet: netip.MustParsePrefix("10.0.1.0/24"), Gateway: netip.MustParseAddr("10.0.1.1")}},
			Options: map[string]string{"com.docker.network.bridge.name": "br-0123456789ab", "secret": "hush"}}},
		Gaps: []Gap{{Reader: "engine docker", Error: "container secret-app at 10.0.1.7 (02:42:0a:00:01:07): no"}},
	}
}

func encode(t testing.TB, s *Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSaveAndLoad(t *testing.T) {
	for _, name := range []string{"a.json", "a.json.gz", "a.json.zst"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			want := sample()
			if err := Save(path, want); err != nil {
				t.Fatal(err)
			}
			got, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{})); d != "" {
				t.Error(d)
			}
			if st, _ := os.Stat(path); st.Mode().Perm()&0o077 != 0 {
				t.Errorf("others may read it: %v", st.Mode())
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestNothingIsNull walks the JSON of an empty and of a full snapshot.
func TestNothingIsNull(t *testing.T) {
	for _, s := range []*Snapshot{{Schema: 1, Tool: "x", Namespaces: []Namespace{{Links: []Link{{Bridge: &Bridge{}, Macvlan: &Macvlan{}, Vlan: &Vlan{}, BridgePort: &BridgePort{}}}, Xfrm: Xfrm{Policies: []XfrmPolicy{{}}}}},
		Workloads: []Workload{{Endpoints: []Endpoint{{}}}}, Networks: []Network{{}}, Services: []Service{{Tasks: []Task{{}}}}, Flannel: []Flannel{{}}}, sample()} {
		b := encode(t, s)
		if bytes.Contains(b, []byte("null")) {
			t.Errorf("a null in %s", b)
		}
		if !json.Valid(b) {
			t.Error("not JSON")
		}
	}
}

// TestWriteIsMarshal compares the streaming writer with encoding/json.
func TestWriteIsMarshal(t *testing.T) {
	s := sample()
	var got, want any
	if err := json.Unmarshal(encode(t, s), &got); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSortedWhateverTheOrder(t *testing.T) {
	a, b := sample(), sample()
	b.Namespaces[0], b.Namespaces[1] = b.Namespaces[1], b.Namespaces[0]
	b.Namespaces[1].Routes[0], b.Namespaces[1].Routes[1] = b.Namespaces[1].Routes[1], b.Namespaces[1].Routes[0]
	if !bytes.Equal(encode(t, a), encode(t, b)) {
		t.Error("the order of what was read shows in the file")
	}
}

func zip(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestBadFiles(t *testing.T) {
	good := encode(t, sample())
	z := zip(t, good)
	zw, _ := zstd.NewWriter(nil)
	zst := zw.EncodeAll(good, nil)
	for name, tc := range map[string]struct {
		in   []byte
		want error
	}{
		"empty":            {nil, ErrNotSnapshot},
		"truncated":        {good[:len(good)/2], ErrTruncated},
		"truncated gzip":   {z[:len(z)/2], ErrTruncated},
		"truncated zstd":   {zst[:len(zst)/2], ErrTruncated},
		"gzip header only": {z[:3], ErrTruncated},
		"text":             {[]byte("hello\n"), ErrNotSnapshot},
		"other JSON":       {[]byte(`{"a": 1}`), ErrNotSnapshot},
		"a list":           {[]byte(`[]`), ErrNotSnapshot},
		"wrong type":       {[]byte(`{"schema":1,"tool":"x","namespaces":7}`), ErrNotSnapshot},
		"wrong address":    {[]byte(`{"schema":1,"tool":"x","namespaces":[{"links":[{"addrs":[{"prefix":"10.0.0.0/99"}]}]}]}`), ErrNotSnapshot},
		"newer":            {[]byte(`{"schema":2,"tool":"nscope 9"}`), ErrNewer},
		"newer, other":     {[]byte(`{"schema":2,"tool":"nscope 9","namespaces":{"a":1}}`), ErrNewer},
		"two":              {append(append([]byte{}, good...), good...), ErrNotSnapshot},
		"garbage behind":   {append(append([]byte{}, good...), "xx"...), ErrNotSnapshot},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(bytes.NewReader(tc.in)); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
	if s, err := Read(strings.NewReader(`{"schema":1,"tool":"nscope 1.9","later":{"x":[1]},"namespaces":[{"id":"4:1","new":true}]}`)); err != nil || len(s.Namespaces) != 1 {
		t.Errorf("a later minor addition is not read: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "nosuch")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestEndlessFile(t *testing.T) {
	defer func(n int64) { maxSize = n }(maxSize)
	maxSize = 1 << 20
	if _, err := Read(zeros{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, want %v", err, ErrTooLarge)
	}
}

func TestRedact(t *testing.T) {
	s := sample()
	s.Redact("")
	out := string(encode(t, s))
	for _, secret := range []string{"payroll", "salaries", "secret-app", "corp.example", "hush", "hidden-alias", "10.0.1.", "02:42:0a:00:01:07"} {
		if strings.Contains(out, secret) {
			t.Errorf("%q is still in it:\n%s", secret, out)
		}
	}
	for _, kept := range []string{"eth0", "0.0.0.0/0", "1-gz7t7pfi85", "br-0123456789ab", "4097", "10."} {
		if !strings.Contains(out, kept) {
			t.Errorf("%q is gone", kept)
		}
	}
	// What was one thing still is.
	ns := s.Namespaces[1]
	if ns.Links[0].MAC != s.Workloads[0].Endpoints[0].MAC || s.Workloads[0].Endpoints[0].NetworkName != s.Networks[0].Name {
		t.Error("the same name or MAC was replaced differently")
	}
	sub := s.Networks[0].Subnets[0].Subnet
	if !sub.Contains(ns.Links[0].Addrs[0].Prefix.Addr()) || sub.Bits() != 24 || sub != sub.Masked() {
		t.Errorf("the address %v left its subnet %v", ns.Links[0].Addrs[0].Prefix, sub)
	}
	a, b, c := sample(), sample(), sample()
	a.Redact("k")
	b.Redact("k")
	c.Redact("other")
	if !bytes.Equal(encode(t, a), encode(t, b)) || bytes.Equal(encode(t, a), encode(t, c)) {
		t.Error("redaction does not depend on its key alone")
	}
}

// TestRedactAddrs checks the properties on every kind of address: the kind stays, prefixes are preserved, nothing collides.
func TestRedactAddrs(t *testing.T) {
	r := &redactor{key: []byte("k"), addrs: map[netip.Addr]netip.Addr{}}
	kind := func(a netip.Addr) [5]bool {
		return [5]bool{a.IsPrivate(), a.IsLoopback(), a.IsMulticast(), a.IsLinkLocalUnicast(), a.IsUnspecified()}
	}
	seen := map[netip.Addr]netip.Addr{}
	for _, s := range []string{"10.1.2.3", "10.1.2.4", "10.1.3.4", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "169.254.1.1", "127.0.0.11", "0.0.0.0", "255.255.255.255",
		"224.0.0.1", "8.8.8.8", "172.217.0.1", "192.0.2.7", "::", "::1", "fe80::1", "fd00::1:2", "2001:db8::1", "2001:db8::2", "ff02::1", "::ffff:10.1.2.3"} {
		a := netip.MustParseAddr(s)
		b := r.addr(a)
		if kind(a) != kind(b) {
			t.Errorf("%v became %v, of another kind", a, b)
		}
		if old, ok := seen[b]; ok {
			t.Errorf("%v and %v both became %v", a, old, b)
		}
		seen[b] = a
	}
	x, y := r.addr(netip.MustParseAddr("10.1.2.3")), r.addr(netip.MustParseAddr("10.1.2.4"))
	if p := netip.PrefixFrom(x, 29).Masked(); !p.Contains(y) {
		t.Errorf("two of one /29 are not in one any more: %v %v", x, y)
	}
}

// TestEveryStringIsJudged makes whoever adds a string to the model decide what redaction does with it.
func TestEveryStringIsJudged(t *testing.T) {
	// Words of the kernel or of an engine's protocol, names of links, random ids, and versions: nothing to hide.
	harmless := "ID Kind Type State Family Protocol Scope Flag Mode Name Tool BootID Kernel Arch OS Version APIVersion Root Source NodeID Role Engine Label Pref Encap IIF OIF Action Handle Parent Dir " +
		"AEAD Auth Crypt Proto Qdisc MasterKind ParentDev ParentBus XDP BridgeID RootID VlanProtocol DF SandboxID Service Task SandboxID UID Network Interface Driver Bridge EndpointMode Desired Workload Backend Reader AltNames Flags Sysctls Options Networks " +
		// Rules: words of nftables and iptables, and names of chains, sets and links, by which rules hang together.
		"Hook Policy Devices Key Base Mask Xor Map Op Set Chain Keep Unit Per With Level Unknown KeyTypes DataType Object Scheduler PEName Method Netmask TunnelType TunnelFlags ProgName ProgTag Result Class Leaf Attach Tag"
	ok := map[string]bool{}
	for _, f := range strings.Fields(harmless) {
		ok[f] = true
	}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(t2 reflect.Type) {
		switch t2.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(t2.Elem())
		case reflect.Struct:
			if seen[t2] || t2.PkgPath() != reflect.TypeFor[Snapshot]().PkgPath() {
				return
			}
			seen[t2] = true
			for i := range t2.NumField() {
				f := t2.Field(i)
				e := f.Type
				if e.Kind() == reflect.Slice || e.Kind() == reflect.Map {
					e = e.Elem()
				}
				if e.Kind() == reflect.String && e != nsidType && f.Tag.Get("redact") == "" && !ok[f.Name] {
					t.Errorf("%s.%s: give it a redact tag, or name it harmless here", t2.Name(), f.Name)
				}
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Snapshot]())
}

func FuzzRead(f *testing.F) {
	good := encode(f, sample())
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(zip(f, good))
	f.Add([]byte(`{"schema":1,"tool":"x","namespaces":[{"links":[{"peer":{"nsid":-1}}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		first := encode(t, s)
		again, err := Read(bytes.NewReader(first))
		if err != nil {
			t.Fatalf("what was read and written cannot be read: %v", err)
		}
		if !bytes.Equal(first, encode(t, again)) {
			t.Error("not stable")
		}
		s.Redact("k")
	})
}
