package hoplab

import (
	"errors"

	"go.k6.io/k6/metrics"
	"go.k6.io/k6/output"
)

// sampleOutput opens the sample file when k6 starts and closes it when k6
// ends. Requests do not come through it: the module records them directly.
// From k6's own samples it only counts the iterations that were dropped.
type sampleOutput struct {
	rec  *recorder
	path string
	env  map[string]string
}

var (
	_ output.WithStopWithTestError = (*sampleOutput)(nil)
	_ output.WithTestRunStop       = (*sampleOutput)(nil)
)

func newOutput(rec *recorder, p output.Params) (*sampleOutput, error) {
	if p.ConfigArgument == "" {
		return nil, errors.New("the hoplab output needs a file: --out hoplab=FILE")
	}
	return &sampleOutput{rec: rec, path: p.ConfigArgument, env: p.Environment}, nil
}

// Description is what k6 prints about the output.
func (o *sampleOutput) Description() string { return "hoplab samples (" + o.path + ")" }

// Start opens the file, so that a folder that cannot be written is found
// before anything is sent.
func (o *sampleOutput) Start() error {
	if _, err := o.rec.configure(func(k string) (string, bool) { v, ok := o.env[k]; return v, ok }); err != nil {
		return err
	}
	return o.rec.open(o.path)
}

// SetTestRunStopCallback receives the function that stops the run when the
// file cannot be written.
func (o *sampleOutput) SetTestRunStopCallback(stop func(error)) {
	o.rec.mu.Lock()
	defer o.rec.mu.Unlock()
	o.rec.stop = stop
}

// AddMetricSamples counts dropped iterations and ignores the rest.
func (o *sampleOutput) AddMetricSamples(containers []metrics.SampleContainer) {
	for _, c := range containers {
		for _, s := range c.GetSamples() {
			if s.Metric.Name == metrics.DroppedIterationsName {
				o.rec.dropped.Add(int64(s.Value))
			}
		}
	}
}

// Stop ends the file of a run without error.
func (o *sampleOutput) Stop() error { return o.rec.close(false) }

// StopWithTestError ends the file; k6 calls it instead of Stop, with the
// reason when the run did not reach its end.
func (o *sampleOutput) StopWithTestError(err error) error { return o.rec.close(err != nil) }
