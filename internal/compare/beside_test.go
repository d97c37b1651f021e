package compare

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkBeside reads one file of k6's JSON output three ways: hoplab's whole
// comparison by tag, jq, and DuckDB. It needs jq in PATH and DuckDB for Node:
//
//	npm install --prefix /tmp/duckdb @duckdb/node-api
//	HOPLAB_BENCH_DUCKDB=/tmp/duckdb go test -run '^$' -bench Beside -benchtime 3x ./internal/compare
//
// HOPLAB_BENCH_POINTS sets the number of points (default 1 million, 340 MB); jq
// reads the first tenth.
func BenchmarkBeside(b *testing.B) {
	duck := os.Getenv("HOPLAB_BENCH_DUCKDB")
	if duck == "" {
		b.Skip("HOPLAB_BENCH_DUCKDB does not say where DuckDB is installed")
	}
	points := 1_000_000
	if v, err := strconv.Atoi(os.Getenv("HOPLAB_BENCH_POINTS")); err == nil {
		points = v
	}
	dir := b.TempDir()
	path, tenth := filepath.Join(dir, "k6.ndjson"), filepath.Join(dir, "tenth.ndjson")
	size := manyPoints(b, path, points)
	part := manyPoints(b, tenth, points/10)
	var ours, theirs string
	b.Run("hoplab", func(b *testing.B) {
		b.SetBytes(size)
		for range b.N {
			r, err := Run(Options{A: path, By: "arm"})
			if err != nil {
				b.Fatal(err)
			}
			ours = fmt.Sprint(r.Summary.Arms[0].Requests, r.Summary.Arms[1].Requests)
		}
	})
	b.Run("duckdb", func(b *testing.B) {
		b.SetBytes(size)
		var took time.Duration
		for range b.N {
			cmd := exec.Command("node", "--input-type=module", "-e", duckQuery)
			cmd.Dir = duck
			cmd.Env = append(os.Environ(), "FILE="+path)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				b.Fatalf("%v: %s", err, stderr.String())
			}
			f := strings.Fields(string(out))
			ms, err := strconv.ParseFloat(f[0], 64)
			if err != nil || len(f) != 3 {
				b.Fatalf("DuckDB answered %q", out)
			}
			took += time.Duration(ms * 1e6)
			theirs = f[1] + " " + f[2]
		}
		b.ReportMetric(float64(size)*float64(b.N)/took.Seconds()/1e6, "query-MB/s") // without its start
	})
	if ours != "" && theirs != "" && ours != theirs {
		b.Errorf("hoplab counts %s, DuckDB %s", ours, theirs)
	}
	b.Run("jq", func(b *testing.B) {
		if _, err := exec.LookPath("jq"); err != nil {
			b.Skip("no jq in PATH")
		}
		b.SetBytes(part)
		for range b.N {
			if err := exec.Command("jq", "-c", `select(.type=="Point" and .metric=="http_req_duration") | [.data.tags.arm, .data.value]`, tenth).Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// duckQuery prints the query's milliseconds and each arm's count, in order.
const duckQuery = `
import { DuckDBInstance } from '@duckdb/node-api';
const db = await (await DuckDBInstance.create(':memory:')).connect();
const start = performance.now();
const r = await db.runAndReadAll("select data.tags.arm as arm, count(*) as n, quantile_cont(data.value, [0.5, 0.9, 0.99]) from read_ndjson('" + process.env.FILE +
  "', columns={metric:'VARCHAR',type:'VARCHAR',data:'STRUCT(time VARCHAR, value DOUBLE, tags STRUCT(arm VARCHAR))'}) where type='Point' and metric='http_req_duration' group by 1 order by 1");
console.log(performance.now() - start, r.getRowObjects().map(x => x.n).join(' '));
`

// manyPoints writes the lines that k6 would write: each request's metrics with
// its own time and values. It returns the file's size.
func manyPoints(b *testing.B, path string, points int) int64 {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	names := []string{"http_reqs", "http_req_duration", "http_req_blocked", "http_req_connecting", "http_req_tls_handshaking", "http_req_sending", "http_req_waiting", "http_req_receiving", "http_req_failed"}
	start := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	for i := 0; i < points; {
		at := start.Add(time.Duration(i) * 111 * time.Microsecond).Format(time.RFC3339Nano)
		arm := "ab"[i/len(names)*7919%13%2]
		for k, name := range names {
			fmt.Fprintf(w, `{"metric":"%s","type":"Point","data":{"time":"%s","value":%g,"tags":{"arm":"%c","block":"1","expected_response":"true","group":"","method":"GET","name":"http://127.0.0.1:38111/","proto":"HTTP/1.1","scenario":"default","status":"200","url":"http://127.0.0.1:38111/"}}}`+"\n",
				name, at, float64(i*31%977+k)/1000, arm)
			i++
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}
