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

// OneCore is not available off Linux; status says so.
func OneCore() (spread func(), status string) {
	return func() {}, "not available on " + runtime.GOOS
}

func mine() func(core int) bool { return func(int) bool { return true } }

// Spin is not available off Linux.
func Spin(int, io.Reader) error { return errors.New("spinning at idle priority needs Linux") }
