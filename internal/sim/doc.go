// Package sim simulates measurements whose answer is known.
//
// It makes latencies with drift, a heavy tail and an offset of every process
// start, injects a delay, and computes intervals with the same functions that
// analyse a real run. Run prints how often each design's interval covers the
// truth and how often it raises a false alarm; Recording writes whole run
// directories for tests and benchmarks. Everything follows from a seed.
package sim
