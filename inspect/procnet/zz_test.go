package procnet
import ("testing";"time";"golang.org/x/sys/unix";"github.com/nscope/nscope/inspect/netns/nettest")
func mnt(t testing.TB) int {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil { t.Fatal(err) }
	if err := unix.FsconfigCreate(fs); err != nil { t.Fatal("create", err) }
	m, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil { t.Fatal("mount", err) }
	unix.Close(fs)
	return m
}
func readIn(root int) {
	var buf [128]byte
	for i := range dirs { for j := range dirs[i].files {
		_, e := readAt(root, dirs[i].files[j].path, buf[:])
		if e == unix.ENOENT && j == 0 { break }
	}}
}
func TestScale(t *testing.T) {
	a := time.Now()
	for range 100 { unix.Close(mnt(t)) }
	t.Logf("mount+close %v", time.Since(a)/100)
	var hs []*nettest.Handle
	for len(hs) < 1000 { hs = append(hs, nettest.New(t)) }
	for _, k := range []int{1, 8, 16, 32, 64, 128} {
		start := time.Now()
		var in, out time.Duration
		m := -1
		for i, h := range hs {
			if i % k == 0 { x := time.Now(); if m >= 0 { unix.Close(m) }; m = mnt(t); out += time.Since(x) }
			h.Do(func() error {
				x := time.Now()
				root, err := unix.Openat(m, "sys/net", unix.O_PATH, 0)
				if err != nil { t.Fatal(err) }
				readIn(root); unix.Close(root); in += time.Since(x); return nil })
		}
		unix.Close(m)
		t.Logf("%d per mount: %v each, mounting %v, reading %v", k, time.Since(start)/1000, out/1000, in/1000)
	}
}
