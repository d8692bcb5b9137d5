// Command nscope shows the network namespaces of a container host and how they are wired together.
package main

import (
	"os"

	"github.com/nscope/nscope/cmd"
)

func main() { os.Exit(cmd.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) }
