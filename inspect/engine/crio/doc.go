// Package crio reads CRI-O's containers from containers/storage: config.json in the run root has all that is of use in annotations
// (io.kubernetes.cri-o.*, CRI-O's internal/annotations), also with no daemon running. The layout is that of CRI-O 1.20 to 1.33.
package crio
