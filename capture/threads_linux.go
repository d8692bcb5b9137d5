package capture

import (
	"runtime"
	"sync"
)

// idleThreads is how many of the runtime's threads may be idle after a host was read and rings were opened.
const idleThreads = 2 * atOnce

// shedThreads ends threads that are idle: the runtime never does, and a capture needs one or two for hours. A thread ends with a goroutine that is
// locked to it and returns; one after the other, so that each finds an idle thread and none has to be made.
func shedThreads() {
	for range idleThreads {
		var wg sync.WaitGroup
		wg.Go(runtime.LockOSThread)
		wg.Wait()
	}
}
