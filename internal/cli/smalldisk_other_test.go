//go:build !linux

package cli_test

import (
	"errors"
	"fmt"
	"os"
)

func smallDisk([]string) int {
	fmt.Fprintln(os.Stderr, smallDisks())
	return 125
}

func smallDisks() error { return errors.New("a file system for one process needs Linux") }
