// Package procnet reads what a network namespace tells through /proc: its sysctls and its counters.
//
//	err := ns.Do(func() (err error) { sysctls, err = procnet.Sysctls(nil); return err })
//
// [Sysctls] and [Counters] answer for the namespace of the calling thread: /proc/sys/net is looked up for whoever asks,
// and /proc/thread-self/net is the thread's (/proc/net would be the main thread's). [HostCounters] are the whole
// kernel's and may be read from anywhere.
//
// Sysctls per interface are not read here: they come with the link dump (inspect/rtnl), where they cost nothing. A
// file each would be most of a snapshot's time.
//
// What the kernel lacks (no conntrack, no IPVS, an old version) is absent from the answer and no error. Nothing is
// written and no module loaded: looking a file up under /proc/sys loads none.
package procnet
