package flannel

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/engine/internal/host"
)

const env = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.31.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"

func TestParseEnv(t *testing.T) {
	f := ParseEnv([]byte(env))
	if f.Network.String() != "10.244.0.0/16" || f.Subnet.String() != "10.244.31.1/24" || f.MTU != 1450 || !f.IPMasq {
		t.Errorf("%+v", f)
	}
	f = ParseEnv([]byte("FLANNEL_NETWORK=\"10.1.0.0/16,10.2.0.0/16\"\r\nFLANNEL_MTU=-1\n=\nFLANNEL_SUBNET"))
	if f.Network.String() != "10.1.0.0/16" || f.MTU != 0 || f.Subnet.IsValid() {
		t.Errorf("%+v", f)
	}
}

// stored is what two nodes with the vxlan backend had in etcd.
var stored = [][2]string{
	{"/coreos.com/network/config", `{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}`},
	{"/coreos.com/network/subnets/10.244.47.0-24", `{"PublicIP":"10.98.0.2","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"2e:5c:fc:00:4a:e6"}}`},
	{"/coreos.com/network/subnets/10.244.31.0-24", `{"PublicIP":"10.98.0.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"BE:78:F7:8F:BE:E4"}}`},
	{"/coreos.com/network/subnets/rubbish", `{}`},
}

func etcd(w http.ResponseWriter, r *http.Request) {
	var q struct{ Key, RangeEnd string }
	body, _ := io.ReadAll(r.Body)
	raw := map[string]string{}
	if r.Method != http.MethodPost || r.URL.Path != "/v3/kv/range" || json.Unmarshal(body, &raw) != nil {
		http.NotFound(w, r)
		return
	}
	key, _ := base64.StdEncoding.DecodeString(raw["key"])
	end, _ := base64.StdEncoding.DecodeString(raw["range_end"])
	q.Key, q.RangeEnd = string(key), string(end)
	var kvs []map[string][]byte
	for _, kv := range stored {
		if kv[0] >= q.Key && kv[0] < q.RangeEnd {
			kvs = append(kvs, map[string][]byte{"key": []byte(kv[0]), "value": []byte(kv[1])})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"header": map[string]string{"revision": "9"}, "kvs": kvs, "count": fmt.Sprint(len(kvs))})
}

func TestRead(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(etcd))
	defer srv.Close()
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client went away
		<-r.Context().Done()
	}))
	defer hang.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	defer page.Close()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "run/flannel"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "run/flannel/subnet.env"), []byte(env), 0o644); err != nil {
		t.Fatal(err)
	}
	root := host.Root{Prefix: dir}
	v := &host.View{Timeout: 300 * time.Millisecond, Places: []host.Place{{Root: root, MntNS: 1}, {Root: root, MntNS: 2}, {Root: host.Root{Prefix: t.TempDir()}, MntNS: 3}}}
	list, gaps := Read(context.Background(), v, []string{srv.URL, srv.URL + "/other/prefix", hang.URL, page.URL, "rubbish"})
	if len(list) != 3 || list[0].Path != dir+"/run/flannel/subnet.env" {
		t.Fatalf("%+v", list)
	}
	f := list[1]
	if f.Backend != "vxlan" || f.VNI != 1 || f.Path != srv.URL || len(f.Leases) != 2 {
		t.Fatalf("%+v", f)
	}
	if l := f.Leases[0]; l.Subnet.String() != "10.244.31.0/24" || l.PublicIP.String() != "10.98.0.1" || l.VtepMAC != "be:78:f7:8f:be:e4" {
		t.Errorf("%+v", l)
	}
	if len(list[2].Leases) != 0 {
		t.Errorf("leases of another prefix: %+v", list[2])
	}
	if len(gaps) != 3 {
		t.Errorf("%d gaps, want 3 (hang, page, rubbish): %+v", len(gaps), gaps)
	}
}

func FuzzEnv(f *testing.F) {
	f.Add([]byte(env))
	f.Fuzz(func(_ *testing.T, data []byte) { ParseEnv(data) })
}

func FuzzRange(f *testing.F) {
	f.Add([]byte(`{"header":{},"kvs":[{"key":"L2NvcmVvcy5jb20vbmV0d29yay9jb25maWc=","value":"e30="}],"count":"1"}`))
	f.Add([]byte(`{"error":"etcdserver: user name is empty","code":3}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		kvs, err := ParseRange(data)
		if err != nil {
			return
		}
		FromKVs(kvs, DefaultPrefix)
		for _, kv := range kvs {
			FromKVs([]KV{{[]byte(DefaultPrefix + "/config"), kv.Value}, {[]byte(DefaultPrefix + "/subnets/" + strings.TrimSpace(string(kv.Key))), kv.Value}}, DefaultPrefix)
		}
	})
}
