// Package e2e tests nscope as a whole: what it says against what the kernel and the engines answer.
package e2e
