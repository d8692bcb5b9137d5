// Package bpf reads which BPF programs are attached where packets and sockets of a namespace pass, by bpf(2): XDP and tcx of each
// link, netkit's, those of the namespace itself, and those of cgroups. Programs of tc filters are not its own: rtnetlink tells them.
//
//	r := bpf.NewReader()
//	err := ns.Do(func() error { r.Namespace(space, gap); return nil }) // in each namespace, from any number of threads
//	r.Cgroups(spaces)                                                  // then what their processes' cgroups have
//	r.Names(spaces)                                                    // and what all of them are called
//	gaps := r.Gaps()
//
// It loads, runs, attaches and pins nothing. What a kernel has not is nothing to read; what may not be read is one gap.
// Numbers and layouts are those of include/uapi/linux/bpf.h.
package bpf
