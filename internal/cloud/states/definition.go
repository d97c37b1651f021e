package states

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// machine is what is interpreted of a state machine: a Distributed Map of which
// each item is one task of ECS that is waited for. That is what hoplab's own
// stack has. What a definition has beyond it is an error that names it, for to
// pass over it would be another machine.
type machine struct {
	mapName    string // of the map's state
	itemsPath  string
	slots      int // MaxConcurrency
	tolerated  float64
	bucket     string // of the results
	prefix     string
	timeout    float64 // seconds; of a task
	retry      []retrier
	parameters map[string]any
}

type retrier struct {
	ErrorEquals     []string
	IntervalSeconds float64
	MaxAttempts     *int
	BackoffRate     float64
	JitterStrategy  string
}

// attempts is how often a retrier tries again; 3 is the language's default.
func (r *retrier) attempts() int {
	if r.MaxAttempts == nil {
		return 3
	}
	return *r.MaxAttempts
}

type state struct {
	Type, Comment, ItemsPath, Resource string
	End                                bool
	MaxConcurrency                     int
	ToleratedFailurePercentage         float64
	TimeoutSeconds                     float64
	Retry                              []retrier
	Parameters                         map[string]any
	ItemProcessor                      *flow
	ResultWriter                       *struct {
		Resource   string
		Parameters struct{ Bucket, Prefix string }
	}
}

type flow struct {
	Comment, StartAt string
	TimeoutSeconds   float64
	ProcessorConfig  struct{ Mode, ExecutionType string }
	States           map[string]state
}

// start is the only state of a flow.
func (f *flow) start() (state, error) {
	s, ok := f.States[f.StartAt]
	if !ok || len(f.States) != 1 {
		return s, fmt.Errorf("it has the states %s; hoplab cloud interprets one", strings.Join(slices.Sorted(maps.Keys(f.States)), ", "))
	}
	return s, nil
}

// parse reads a definition.
func parse(text string) (*machine, error) {
	var top flow
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&top); err != nil {
		return nil, fmt.Errorf("hoplab cloud does not interpret it: %w", err)
	}
	each, err := top.start()
	if err != nil {
		return nil, err
	}
	p := each.ItemProcessor
	if each.Type != "Map" || !each.End || p == nil || p.ProcessorConfig.Mode != "DISTRIBUTED" || each.ResultWriter == nil {
		return nil, errors.New("it is no Distributed Map with a ResultWriter; hoplab cloud interprets no other")
	}
	task, err := p.start()
	if err != nil {
		return nil, err
	}
	if task.Type != "Task" || !task.End || !strings.HasSuffix(task.Resource, ":states:::ecs:runTask.sync") {
		return nil, fmt.Errorf("its items run %q; hoplab cloud interprets ecs:runTask.sync", task.Resource)
	}
	if !strings.HasSuffix(each.ResultWriter.Resource, ":states:::s3:putObject") {
		return nil, fmt.Errorf("its results go to %q; hoplab cloud writes them by s3:putObject", each.ResultWriter.Resource)
	}
	for _, r := range task.Retry {
		if r.IntervalSeconds < 0 || r.BackoffRate < 0 || r.attempts() < 0 {
			return nil, errors.New("a retrier's IntervalSeconds, BackoffRate or MaxAttempts is below 0")
		}
	}
	m := &machine{mapName: top.StartAt, itemsPath: each.ItemsPath, slots: each.MaxConcurrency, tolerated: each.ToleratedFailurePercentage,
		bucket: each.ResultWriter.Parameters.Bucket, prefix: each.ResultWriter.Parameters.Prefix, timeout: task.TimeoutSeconds,
		retry: task.Retry, parameters: task.Parameters}
	if m.slots <= 0 || m.slots > maxSlots {
		m.slots = maxSlots
	}
	return m, nil
}

// maxSlots bounds the tasks of one execution that run at a time.
const maxSlots = 40

// lookup follows a reference path such as $.items.
func lookup(v any, path string) (any, error) {
	if path == "" || path == "$" {
		return v, nil
	}
	rest, ok := strings.CutPrefix(path, "$.")
	if !ok {
		return nil, fmt.Errorf("hoplab cloud follows paths such as $.items, and not %s", path)
	}
	for _, name := range strings.Split(rest, ".") {
		m, _ := v.(map[string]any)
		if v, ok = m[name]; !ok {
			return nil, fmt.Errorf("the input has no %s", path)
		}
	}
	return v, nil
}

// fillIn puts an item's values into parameters: members whose name ends in .$.
func fillIn(parameters, item any) (any, error) {
	switch p := parameters.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, v := range p {
			var err error
			if short, ok := strings.CutSuffix(name, ".$"); ok {
				path, _ := v.(string)
				out[short], err = lookup(item, path)
			} else {
				out[name], err = fillIn(v, item)
			}
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(p))
		for i, v := range p {
			var err error
			if out[i], err = fillIn(v, item); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return parameters, nil
}
