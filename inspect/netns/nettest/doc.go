// Package nettest makes network namespaces for tests and cleans up after them.
package nettest
