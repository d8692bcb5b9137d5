package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/engine"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// freePort is one that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestRealEtcd reads leases, as flannel writes them, from a real etcd's JSON gateway.
func TestRealEtcd(t *testing.T) {
	nettest.NeedsTool(t, "etcd", "sh")
	dir, remove, err := nettest.ScratchDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	client, peer := "http://"+freePort(t), "http://"+freePort(t)
	// The shell ends etcd when the test does, however that is.
	sh := exec.Command("sh", "-c", `etcd --data-dir "$0/etcd" --listen-client-urls "$1" --advertise-client-urls "$1" --listen-peer-urls "$2" \
		--initial-advertise-peer-urls "$2" --initial-cluster "default=$2" >"$0/log" 2>&1 & cat >/dev/null; kill $!; wait`, dir, client, peer)
	in, err := sh.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sh.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = sh.Wait() })

	put := func(key, value string) error {
		body, _ := json.Marshal(map[string][]byte{"key": []byte(key), "value": []byte(value)})
		resp, err := http.Post(client+"/v3/kv/put", "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("etcd answers %s", resp.Status)
		}
		return nil
	}
	const config = `{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}`
	deadline := time.Now().Add(30 * time.Second)
	for err = put("/coreos.com/network/config", config); err != nil; err = put("/coreos.com/network/config", config) {
		if time.Now().After(deadline) {
			t.Fatalf("etcd did not come up: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := put("/coreos.com/network/subnets/10.244.2.0-24", `{"PublicIP":"10.98.0.2","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:02"}}`); err != nil {
		t.Fatal(err)
	}
	res := engine.Read(t.Context(), engine.Options{Proc: t.TempDir(), Etcd: []string{client}, Timeout: 10 * time.Second, Home: t.TempDir(), Getenv: func(string) string { return "" }})
	for _, f := range res.Flannel {
		if f.Path != client {
			continue
		}
		if len(f.Leases) != 1 || f.Network != netip.MustParsePrefix("10.244.0.0/16") || f.Backend != "vxlan" {
			t.Fatalf("read %+v", f)
		}
		l := f.Leases[0]
		if l.Subnet != netip.MustParsePrefix("10.244.2.0/24") || l.PublicIP != netip.MustParseAddr("10.98.0.2") || l.VtepMAC != "aa:bb:cc:dd:ee:02" {
			t.Errorf("lease %+v", l)
		}
		return
	}
	t.Errorf("nothing was read of etcd: %+v, gaps %+v", res.Flannel, res.Gaps)
}
