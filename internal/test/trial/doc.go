// Package trial holds no code of its own: its tests put the lab under load and
// break it on purpose, let foreign programs call it and answer in it, and
// measure what its hops cost beside HAProxy and nginx. Results are in
// docs/trials.md.
//
//	go test ./internal/test/trial                                  # all of it, in short
//	go test ./internal/test/trial -run Soak -soak 30m -timeout 40m # flat memory at 500 requests/s
//	go test ./internal/test/trial -run '^$' -bench Hop -benchtime 10x -timeout 20m
//
// The first two hold on any machine. The figures of the benchmark mean
// something on a machine that does nothing else. With -update the tests write
// their tables into docs/trials.md.
package trial
