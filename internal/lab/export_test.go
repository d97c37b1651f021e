package lab

// GuardApps makes the labs of a test start their apps as systems other than
// Linux do.
func GuardApps(on bool) (restore func()) {
	was := guardApps
	guardApps = on
	return func() { guardApps = was }
}
