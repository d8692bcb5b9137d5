// Command archlint checks the rules of nscope's architecture that no general linter knows: who may switch namespaces,
// who may read netlink, which package may import which. It prints each breach and exits with 1 if there is one.
//
//	go run ./internal/archlint [DIR]
package main
