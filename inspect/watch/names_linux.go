package watch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Folder watches a folder: whatever is made or removed in it is an event of Names. A folder that is watched already is watched
// once.
func (w *Watcher) Folder(dir string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	if w.notify < 0 {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			return fmt.Errorf("watch folders: %w", err)
		}
		if err := w.add(fd, unix.EPOLLIN); err != nil {
			unix.Close(fd)
			return fmt.Errorf("watch folders: %w", err)
		}
		w.notify = fd
	}
	wd, err := unix.InotifyAddWatch(w.notify, dir, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO|unix.IN_ONLYDIR|unix.IN_EXCL_UNLINK)
	if err != nil {
		return fmt.Errorf("watch folder %s: %w", dir, err)
	}
	w.folders[wd] = dir
	return nil
}

// Mounts watches the mounts of network namespaces in a mount namespace, by one of its processes' /proc/<pid>/mountinfo.
func (w *Watcher) Mounts(mountinfo string) error {
	f, err := os.Open(mountinfo)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		f.Close()
		return nil
	}
	// A change makes it "urgent" once (fs/proc_namespace.c); it is readable at all times.
	if err := w.add(int(f.Fd()), unix.EPOLLPRI); err != nil {
		f.Close()
		return fmt.Errorf("watch mounts: %w", err)
	}
	w.files[int(f.Fd())] = f
	mountsOf(f, w.sums())
	return nil
}

// sums are what the mounts of namespaces were in each file when they were last read.
func (w *Watcher) sums() map[*os.File]uint64 {
	if w.mounted == nil {
		w.mounted = map[*os.File]uint64{}
	}
	return w.mounted
}

// mountsOf tells whether the mounts of namespaces are others than last time.
func mountsOf(f *os.File, sums map[*os.File]uint64) bool {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return true
	}
	all, err := io.ReadAll(f)
	if err != nil {
		return true
	}
	h := fnv.New64a()
	for line := range bytes.Lines(all) {
		if bytes.Contains(line, []byte(" nsfs ")) {
			h.Write(line)
		}
	}
	old := sums[f]
	sums[f] = h.Sum64()
	return old != h.Sum64()
}

// changed takes what a folder or a table of mounts has to tell.
func (w *Watcher) changed(batch []Event, fd int, buf []byte) []Event {
	if f := w.files[fd]; f != nil {
		if mountsOf(f, w.sums()) {
			batch = append(batch, Event{At: time.Now(), Names: true})
		}
		return batch
	}
	if fd != w.notify {
		return batch // closed meanwhile
	}
	some := false
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			break
		}
		some = true
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			wd, mask := int(int32(binary.NativeEndian.Uint32(b))), binary.NativeEndian.Uint32(b[4:])
			if mask&unix.IN_IGNORED != 0 {
				delete(w.folders, wd) // the folder itself is gone
			}
			b = b[min(unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:])), len(b)):]
		}
	}
	if some {
		batch = append(batch, Event{At: time.Now(), Names: true})
	}
	return batch
}
