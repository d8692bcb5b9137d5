// Package cgroup knows containers by nothing but the path of their processes' cgroup, when no engine and no file tells of
// them: an id, the kind of engine that made it, and for pods the pod's uid.
package cgroup
