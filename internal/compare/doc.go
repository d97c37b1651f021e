// Package compare compares result files that anybody made with plain k6: its
// JSON output (also gzipped) and its CSV output; and hoplab's own sample files
// and run directories. It reports A - B with the statistics of package
// analysis, and says plainly what separate runs cannot show.
//
// Files are streamed: memory does not depend on their size. A line that cannot
// be understood ends the comparison with its number; nothing is skipped
// silently.
package compare
