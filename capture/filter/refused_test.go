package filter

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestRefused: every word of pcap-filter(7) that is not done is an error at that word, and docs/capture.md tells of it.
func TestRefused(t *testing.T) {
	docs, err := os.ReadFile("../../docs/capture.md")
	if err != nil {
		t.Fatal(err)
	}
	for w := range refused {
		for _, expr := range []string{w, "tcp and " + w + " x", "not (" + w + ")"} {
			_, err := Parse(expr, nil)
			var bad *Error
			if !errors.As(err, &bad) || !strings.HasPrefix(expr[bad.Pos:], w) || !strings.Contains(bad.Text, "not done here") {
				t.Errorf("%q: %v", expr, err)
			}
		}
		if !strings.Contains(string(docs), "`"+w+"`") {
			t.Errorf("docs/capture.md does not say that %q is refused", w)
		}
	}
	for expr, want := range map[string]string{
		"ip protochain 6": "not done here", "ip broadcast": "netmask", "net 10 mask 255.0.255.0": "mask with gaps", "fddi[0] = 1": "cannot be asked", "port nosuchservice": "no service", "host": "expected what", "tcp port 99999": "no port",
		"vlan 5000": "at most 4095", "ip[0:3] = 1": "size must be", "tcp port (80": "not closed", "host 10.0.1": "net 10.0.1?", "80": "of what?", "inner": "of what?", "vni x": "24 bits", "encap foo": "expected vxlan", "len / 0 = 1": "division",
		"ether host 10.0.0.1": "hardware address", "l1": "no address", "tcp[0] = 1 and": "expected more",
	} {
		_, err := Parse(expr, nil)
		var bad *Error
		if !errors.As(err, &bad) || !strings.Contains(bad.Text, want) || !strings.Contains(bad.Caret(), "^") {
			t.Errorf("%q: %v, want %q", expr, err, want)
		}
	}
}
