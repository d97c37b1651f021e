//go:build !linux

package quiet

import (
	"errors"
	"io"
	"runtime"
)

// KeepAwake is not available off Linux; status says so.
func KeepAwake([]string) (stop func(), status string) {
	return func() {}, "not available on " + runtime.GOOS
}

// Spin is not available off Linux.
func Spin(int, io.Reader) error { return errors.New("spinning at idle priority needs Linux") }
