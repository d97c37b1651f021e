// Package parity holds no code of its own: its tests run the lab's agent beside
// a real Envoy that has the lab's own bootstrap for the same configuration, in
// front of the same origins, and compare what each does to the bytes, to the
// connections, to its counters and to its access log.
//
// The Envoy is the one that HOPLAB_ENVOY names, or the one that the lab finds.
// What may differ stands in allowed_test.go, each with its reason, and in
// docs/trials.md.
package parity
