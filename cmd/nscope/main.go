package main

import (
	"os"

	"github.com/nscope/nscope/cmd"
)

func main() { os.Exit(cmd.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) }
