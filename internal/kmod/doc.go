// Package kmod tells which kernel modules can be asked something without being loaded by the question: opening a socket or naming a
// netlink subsystem makes the kernel load the module that would answer, and reading must change nothing.
//
// It reads /proc/modules, /proc/sys/kernel/{modprobe,modules_disabled}, modules.builtin of the running kernel, and only where those
// leave it open /proc/kallsyms. It loads nothing.
package kmod
