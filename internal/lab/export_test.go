package lab

import "time"

// GuardApps makes the labs of a test start their apps as systems other than
// Linux do.
func GuardApps(on bool) (restore func()) {
	was := guardApps
	guardApps = on
	return func() { guardApps = was }
}

// SetProgramListens bounds how long programs may take to listen.
func SetProgramListens(d time.Duration) (restore func()) {
	was := programListens
	programListens = d
	return func() { programListens = was }
}
