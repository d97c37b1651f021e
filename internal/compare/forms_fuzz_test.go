package compare

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzForms: any file beside any other is compared, or refused with the name of
// one of them. It reaches every form that compare knows by its first bytes.
func FuzzForms(f *testing.F) {
	for _, s := range []string{
		`{"metrics":{"http_req_duration":{"values":{"avg":1,"med":1,"p(95)":2}}},"root_group":{}}`,
		`{"timestamp":"2026-11-21T04:20:02Z","latency":1000000,"code":200,"seq":0,"attack":"","error":""}` + "\n",
		"http 2026-11-21T04:20:02.000000Z app/a/1 10.0.0.1:1 10.0.0.2:80 0.000 0.001 0.000 200 200 1 2 \"GET http://a:80/ HTTP/1.1\" \"c\" - - arn \"Root=1\" \"-\" \"-\" 0 2026-11-21T04:20:02.000000Z \"forward\" \"-\" \"-\" \"10.0.0.2:80\" \"200\" \"-\" \"-\"\n",
		`{"events":[{"message":"{\"start_time\":\"2026-11-21T04:20:02Z\",\"duration\":1,\"response_code\":200}"}]}`,
		`[{"start_time":"2026-11-21T04:20:02Z","duration":"1","response_code":200}]`,
		"metric_name,timestamp,metric_value\nhttp_req_duration,1795234796,1\n",
		`{"type":"Point","metric":"http_req_duration","data":{"time":"2026-11-21T04:20:02Z","value":1,"tags":{"arm":"a"}}}` + "\n",
		"\x1f\x8b\x08\x00", "HOPL", "", "{", "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(s), []byte(s))
	}
	cases, _ := filepath.Glob("testdata/cases/*")
	for _, name := range cases {
		if text, err := os.ReadFile(name); err == nil && len(text) < 1<<14 {
			f.Add(text, text)
		}
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		dir := t.TempDir()
		files := [2]string{filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")}
		for i, text := range [][]byte{a, b} {
			if err := os.WriteFile(files[i], text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Run(Options{A: files[:1], B: files[1:]}); err != nil && !strings.Contains(err.Error(), ".log") {
			t.Errorf("the error names no file: %v", err)
		}
	})
}
