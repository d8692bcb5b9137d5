package rtnl

import (
	"bytes"
	"encoding/binary"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

func putInt32(b []byte, v int) { binary.NativeEndian.PutUint32(b, uint32(v)) }

// xfrmSeen remembers whether the kernel has NETLINK_XFRM. A module does not go away while a socket of its is open, nor
// does one come often.
var xfrmSeen struct {
	sync.Mutex
	present bool
	looked  time.Time
}

// xfrmPresent tells whether a NETLINK_XFRM socket can be opened without loading a module, which the kernel would do for
// the asking. A family that is there has the kernel's own socket in /proc/net/netlink.
func xfrmPresent() (bool, error) {
	xfrmSeen.Lock()
	defer xfrmSeen.Unlock()
	if xfrmSeen.present || time.Since(xfrmSeen.looked) < time.Second {
		return xfrmSeen.present, nil
	}
	xfrmSeen.looked = time.Now()
	b, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		return false, err
	}
	for line := range bytes.Lines(b) {
		// sk, Eth (the family), Pid …
		if f := bytes.Fields(line); len(f) > 2 && string(f[1]) == xfrmFamily && string(f[2]) == "0" {
			xfrmSeen.present = true
		}
	}
	return xfrmSeen.present, nil
}

var xfrmFamily = string('0' + rune(unix.NETLINK_XFRM))
