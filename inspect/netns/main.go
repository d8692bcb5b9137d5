package netns

import "runtime"

// The main thread must never enter another namespace: /proc/<pid>/ns/net and /proc/net are the main thread's, and Go
// cannot let it die but parks it. Locking the main goroutine to it in init (which runs on the main thread) keeps every
// other goroutine, and so every one that Do starts, off it.
func init() { runtime.LockOSThread() }
