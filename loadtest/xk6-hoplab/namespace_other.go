//go:build !linux

package hoplab

import "errors"

// inNamespace returns what makes a dialer's sockets in a network namespace,
// which only Linux has.
func inNamespace(int) (func(dialFunc) dialFunc, error) {
	return nil, errors.New("this system has no network namespaces")
}
