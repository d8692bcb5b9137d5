package snapshot

import (
	"time"
)

// Schema is the version of the file format that this package writes, and the newest that it reads.
const Schema = 1

// Snapshot is everything read from one host at one moment.
type Snapshot struct {
	// Schema is the version of the format, 1.
	Schema int `json:"schema"`
	// Tool is the program and version that wrote it: "nscope 0.1.0".
	Tool string `json:"tool"`
	// Taken is the moment at which reading began.
	Taken time.Time `json:"taken"`
	// TookMS is how long reading took, in milliseconds.
	TookMS int64 `json:"took_ms"`
	// Redacted is set where addresses, MACs and names were replaced ([Snapshot.Redact]).
	Redacted bool `json:"redacted,omitempty"`

	Host       Host        `json:"host"`
	Namespaces []Namespace `json:"namespaces"`
	Workloads  []Workload  `json:"workloads"`
	Networks   []Network   `json:"networks"`
	Services   []Service   `json:"services"`
	Flannel    []Flannel   `json:"flannel"`
	Gaps       []Gap       `json:"gaps"`
}

// Host is the machine (or, for a snapshot taken inside a nested engine, the node) that was read.
type Host struct {
	Name      string `json:"name" redact:"name"`
	MachineID string `json:"machine_id,omitempty" redact:"name"`
	// BootID is /proc/sys/kernel/random/boot_id. Two snapshots with the same boot id come from one kernel: their
	// namespace inodes may be compared. The initial netns has the same inode on every kernel, so inodes of
	// different boot ids may not.
	BootID string `json:"boot_id"`
	Kernel string `json:"kernel"`
	Arch   string `json:"arch"`
	OS     string `json:"os,omitempty"`
	// InitNS is the network namespace of pid 1 (or of a kernel thread): the host's own. Empty where neither could
	// be read. Inside a pid namespace of its own it is that of the node's init.
	InitNS NSID `json:"init_ns,omitempty"`
	// SelfNS is the network namespace in which nscope ran.
	SelfNS NSID `json:"self_ns"`
	// Engines lists every container engine found, answering or not.
	Engines []Engine `json:"engines"`
	// Counters are those of the whole kernel, not of one namespace (softnet, ARP table). Zeros are left out.
	Counters map[string]uint64 `json:"counters"`
}

// Gap is a read that failed: what is missing from the snapshot, why, and what would have let it succeed.
type Gap struct {
	// Namespace is the one that could not be read, empty for the host as a whole.
	Namespace NSID `json:"namespace,omitempty"`
	// Reader names what was being read: "links", "routes", "holders", "engine docker".
	Reader string `json:"reader" redact:"text"`
	// Error is the error's text.
	Error string `json:"error" redact:"text"`
	// Needs says what would help: "CAP_SYS_ADMIN", "kernel feature xfrm", "a running engine". Empty where unknown.
	Needs string `json:"needs,omitempty" redact:"text"`
	// Count is how many like it were folded into this one (0 means 1).
	Count int `json:"count,omitempty"`
}
