package compare

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"io"
	"strings"
	"testing"
)

// FuzzCSV checks the reader against the rows themselves: it reports exactly the
// rows of the metric, or an error, and never fewer without one.
func FuzzCSV(f *testing.F) {
	head := "metric_name,timestamp,metric_value,status,extra_tags,metadata\n"
	for _, rows := range []string{
		"http_req_duration,1795234796,0.639467,200,arm=b&block=1,\n",
		"http_req_duration,1795234796123,1,200,block=1&arm=b,\nhttp_reqs,1,1,,,\n",
		"http_req_duration,2026-11-21T04:20:02.503305098Z,1.0,,,\n",
		"\"http_req_duration\",1795234796,0.6,200,\"arm=a,b\",\n",
		"http_req_duration,0,NaN,,a=b=c,\n",
		"http_req_duration,1795234796,1e3,200,noequals,\n",
		"http_req_duration,1795234796,-1,200,,\n\"open",
		"a,b\n",
		"\xff,1795234796,1,1,1,1\n",
	} {
		f.Add([]byte(head + rows))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found := newFound()
		got := collect(func(s sink) error { return readCSV(bufio.NewReader(bytes.NewReader(data)), DefaultMetric, found, s) })
		if got.err != "" {
			if !strings.Contains(got.err, "line ") {
				t.Errorf("error without a line: %s", got.err)
			}
			return
		}
		want := 0
		r := csv.NewReader(bytes.NewReader(data))
		head, err := r.Read()
		if err != nil {
			t.Fatalf("accepted, but the header is no CSV: %v", err)
		}
		name := -1
		for i, h := range head {
			if h == "metric_name" {
				name = i
			}
		}
		for {
			row, err := r.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				if found.cut != "" {
					break
				}
				t.Fatalf("accepted, but no CSV: %v", err)
			}
			if row[name] == DefaultMetric {
				want++
			}
		}
		if int64(len(got.events))+found.negative != int64(want) {
			t.Errorf("%d events of %d rows", len(got.events), want)
		}
	})
}
