package compare

import (
	"fmt"
	"io"
	"time"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// readSamples reads a hoplab sample file. The arm is the tag "arm"; requests of
// the warm-up are left out, as the plan says.
func readSamples(r io.Reader, emit sink) error {
	rd, err := samplefile.NewReader(r)
	if err != nil {
		return err
	}
	head := rd.Header()
	load := &head.Load
	start := time.Unix(0, head.StartUnixNs)
	var tags []*tagSet
	var rec samplefile.Record
	for {
		err := rd.Next(&rec)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for len(tags) <= rec.Class {
			arm, o := rd.Class(len(tags))
			t := &tagSet{values: map[string]string{"arm": load.Arms[arm].Name}}
			if o.Error != "" || o.Status < 200 || o.Status >= 400 {
				t.failed, t.why = true, outcomeWords(o)
			}
			tags = append(tags, t)
		}
		begin := load.Start(&rec)
		if load.Window(begin) < 0 {
			continue
		}
		if err := emit(event{at: start.Add(begin), latency: rec.Latency, tags: tags[rec.Class]}); err != nil {
			return err
		}
	}
}

func outcomeWords(o samplefile.Outcome) string {
	if o.Error != "" {
		return o.Error
	}
	return fmt.Sprintf("status %d", o.Status)
}
