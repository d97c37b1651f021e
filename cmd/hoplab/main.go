// Command hoplab tells which way a request goes through an Amazon ECS Service
// Connect deployment, proves it, and says what each hop costs.
package main

import (
	"os"

	"github.com/hoplab/hoplab/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
