// Package pooled compares quantiles of requests that nobody planned: those of
// result files and access logs. The estimate is the difference of the arms'
// quantiles, each pooled over all of its requests; the interval is of the same
// quantity, by drawing whole blocks of time anew (package stats).
//
// An Arm counts requests by window of time and bin of value. Its memory does not
// depend on the number of requests or on the length of the run: windows get
// longer instead of more. Arms of one clock are joined into a Sample, whose
// blocks are drawn for all arms at once, so that what moved all of them cancels.
package pooled
