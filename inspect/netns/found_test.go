package netns

import (
	"slices"
	"testing"
)

func TestParseStat(t *testing.T) {
	for _, tc := range []struct {
		in      string
		comm    string
		ppid    int
		kthread bool
		ok      bool
	}{
		{"12 (sh) S 3 12 12 0 -1 4194304 1", "sh", 3, false, true},
		{"2 (kthreadd) S 0 0 0 0 -1 2129984 0", "kthreadd", 0, true, true},
		{"9 (a) b) (c) R 1 9 9 0 -1 4194560 1", "a) b) (c", 1, false, true},
		{"9 (new\nline) R 1 9 9 0 -1 4194560 1", "new\nline", 1, false, true},
		{"9 (dead) Z 1 9 9 0 -1 4194560 1", "", 0, false, false},
		{"", "", 0, false, false},
		{"9 (x", "", 0, false, false},
		{"9 (x) R 1", "", 0, false, false},
	} {
		comm, ppid, kthread, ok := parseStat(tc.in)
		if comm != tc.comm || ppid != tc.ppid || kthread != tc.kthread || ok != tc.ok {
			t.Errorf("parseStat(%q) = %q %d %v %v", tc.in, comm, ppid, kthread, ok)
		}
	}
}

func TestParseNSpidAndCgroup(t *testing.T) {
	if got := parseNSpid("Name:\tx\nNSpid:\t4242\t17\t1\nVmPeak: 1\n"); !slices.Equal(got, []int{4242, 17, 1}) {
		t.Errorf("parseNSpid = %v", got)
	}
	for in, want := range map[string]string{
		"0::/system.slice/docker-abc.scope\n":                    "/system.slice/docker-abc.scope",
		"12:cpu:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n": "/docker/abc",
		"0::/\n":   "/",
		"garbage":  "",
		"1:a:/x:y": "/x:y",
	} {
		if got := parseCgroup(in); got != want {
			t.Errorf("parseCgroup(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseMountinfo(t *testing.T) {
	in := `22 28 0:20 / /proc rw,nosuid - proc proc rw,hidepid=2
600 29 0:4 net:[4026532184] /run/netns/a\040b rw shared:333 master:1 - nsfs nsfs rw
601 29 0:4 mnt:[4026532185] /run/snapd/ns/x.mnt rw - nsfs nsfs rw
602 29 0:4 net:[4026532186] /run/docker/netns/1-abc rw - nsfs nsfs rw
broken nsfs line - nsfs
`
	mounts, hidepid := parseMountinfo(in, "/proc")
	if hidepid != "2" || len(mounts) != 2 || mounts[0] != (mountPoint{4026532184, "/run/netns/a b"}) || mounts[1].inode != 4026532186 {
		t.Errorf("parseMountinfo = %v %q", mounts, hidepid)
	}
}

func FuzzProcFiles(f *testing.F) {
	f.Add("9 (a) b) R 1 9 9 0 -1 4194560 1")
	f.Add("600 29 0:4 net:[4026532184] /run/netns/a\\040b rw shared:333 - nsfs nsfs rw")
	f.Add("0::/x\nNSpid:\t1 2")
	f.Add("sl local\n 0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345 1")
	f.Fuzz(func(t *testing.T, s string) {
		parseStat(s)
		parseNSpid(s)
		parseCgroup(s)
		parseMountinfo(s, "/proc")
		unescapeMount(s)
		parseNSLink(s, "net")
		parseInodes(s, 9, map[uint64]struct{}{})
	})
}
