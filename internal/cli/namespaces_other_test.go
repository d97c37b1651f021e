//go:build !linux

package cli_test

import "github.com/hoplab/hoplab/internal/lab/netns"

// namespaces says why hoplab cannot make network namespaces here.
func namespaces() error {
	_, err := netns.New()
	return err
}
