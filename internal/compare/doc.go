// Package compare compares what hoplab did not make: files of plain k6 and of
// vegeta, access logs of load balancers and of Service Connect agents; and
// hoplab's own sample files and run directories. It reports A - B with the
// statistics of package pooled, or of package analysis for runs, and claims only
// what the files carry: docs/compare.md.
//
// Reading goes from forms (form.go) through a reader of each form to events
// (event.go); gather.go deals them out to arms, lines.go compares these, and
// result.go makes a summary of it.
//
// Files are streamed: memory does not depend on their size, except for --agent-log.
// A line that cannot be understood ends the comparison with its number; what is
// left out is counted, and the summary says so.
package compare
