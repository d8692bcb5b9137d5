package main

import (
	"fmt"
	"os"
)

func main() {
	dir := "."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	found, files, err := check(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "archlint:", err)
		os.Exit(2)
	}
	for _, b := range found {
		fmt.Println(b)
	}
	if len(found) > 0 || files == 0 {
		fmt.Fprintf(os.Stderr, "archlint: %d breaches in %d files\n", len(found), files)
		os.Exit(1)
	}
}
