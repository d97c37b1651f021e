package awsrun_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// fakeTask is a load task.
type fakeTask struct {
	arn, definition, group string
	startedBy, token       string // token: the client's, by which a repeated RunTask is known
	command                []string
	attempt                int
	hold                   bool

	status, stopCode, reason, containerReason string
	exit                                      *int
	log                                       []string
	stop                                      chan struct{} // closed by StopTask
	stopped                                   bool
	done                                      chan struct{}
}

func (f *fakeAWS) json(w http.ResponseWriter, op string, in map[string]any) {
	out, err := f.answer(op, in)
	if err != nil {
		e := err.(*apiFault)
		fault(w, op, 400, e.code, e.message)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		f.t.Log(err)
	}
}

type apiFault struct{ code, message string }

func (e *apiFault) Error() string { return e.code + ": " + e.message }

func text(v any) string { s, _ := v.(string); return s }
func list(v any) []any  { l, _ := v.([]any); return l }
func at(v any, path ...any) any {
	for _, p := range path {
		switch k := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[k]
		case int:
			l := list(v)
			if k >= len(l) {
				return nil
			}
			v = l[k]
		}
	}
	return v
}

func (f *fakeAWS) answer(op string, in map[string]any) (any, error) {
	if strings.HasPrefix(op, "states:") {
		return f.states(op, in)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch op {
	case "ecs:DescribeServices":
		s := f.services[text(at(in, "services", 0))]
		if s == nil {
			return map[string]any{"failures": []any{map[string]any{"reason": "MISSING"}}}, nil
		}
		return map[string]any{"services": []any{f.describe(s)}}, nil
	case "ecs:UpdateService":
		s := f.services[text(in["service"])]
		if force, _ := in["forceNewDeployment"].(bool); force {
			s.restarts++
		}
		if n, ok := in["desiredCount"].(float64); ok {
			f.scaleMesh(s, int(n), text(in["taskDefinition"]))
		}
		return map[string]any{"service": f.describe(s)}, nil
	case "ecs:DescribeTaskDefinition":
		return map[string]any{"taskDefinition": f.taskDefs[text(in["taskDefinition"])]}, nil
	case "ecs:RegisterTaskDefinition":
		arn := fmt.Sprintf("%stask-definition/%s:%d", arnPrefix, text(in["family"]), 100+len(f.taskDefs))
		in["taskDefinitionArn"] = arn
		f.taskDefs[arn] = in
		return map[string]any{"taskDefinition": in}, nil
	case "ecs:DeregisterTaskDefinition":
		delete(f.taskDefs, text(in["taskDefinition"]))
		return map[string]any{}, nil
	case "ecs:RunTask":
		var command []string
		for _, c := range list(at(in, "overrides", "containerOverrides", 0, "command")) {
			command = append(command, text(c))
		}
		for _, t := range f.tasks {
			if token := text(in["clientToken"]); token != "" && t.token == token {
				return map[string]any{"tasks": []any{t.json()}}, nil
			}
		}
		t := f.start(text(in["taskDefinition"]), "/hoplab/load", text(in["startedBy"]), command, 1)
		t.token = text(in["clientToken"])
		return map[string]any{"tasks": []any{t.json()}}, nil
	case "ecs:StopTask":
		t := f.find(text(in["task"]))
		if t == nil {
			return nil, &apiFault{"InvalidParameterException", "The referenced task was not found."}
		}
		t.end()
		return map[string]any{"task": t.json()}, nil
	case "ecs:ListTasks":
		arns := []any{}
		for _, t := range f.tasks {
			name, _, _ := strings.Cut(t.definition[strings.LastIndexByte(t.definition, '/')+1:], ":")
			service := f.services[text(in["serviceName"])]
			if t.status != "STOPPED" && (text(in["family"]) == name || service != nil && service.name == meshName && name == "LoadMesh") {
				arns = append(arns, t.arn)
			}
		}
		if s := f.services[text(in["serviceName"])]; s != nil {
			for i := range s.tasks {
				arns = append(arns, fmt.Sprintf("%stask/%s/%s-%d-%d", arnPrefix, cluster, s.name, s.restarts, i))
			}
		}
		return map[string]any{"taskArns": arns}, nil
	case "ecs:DescribeTasks":
		tasks := []any{}
		for _, a := range list(in["tasks"]) {
			if t := f.find(text(a)); t != nil {
				tasks = append(tasks, t.json())
				continue
			}
			for _, s := range f.services {
				if s.tasks > 0 && strings.Contains(text(a), "/"+s.name+"-") {
					tasks = append(tasks, map[string]any{"taskArn": a, "lastStatus": "RUNNING", "availabilityZone": region + "a",
						"platformVersion": "1.4.0", "cpu": "512", "memory": "1024",
						"containers": []any{map[string]any{"name": "app", "image": s.image, "imageDigest": s.digest},
							map[string]any{"name": "ecs-service-connect-x1", "imageDigest": "sha256:agent", "image": "agent"}}})
				}
			}
		}
		return map[string]any{"tasks": tasks}, nil
	case "logs:GetLogEvents":
		return f.logEvents(in)
	}
	f.t.Errorf("the fake does not know %s", op)
	return nil, &apiFault{"UnknownOperationException", op}
}

func (f *fakeAWS) describe(s *fakeService) map[string]any {
	connect := map[string]any{"portName": "app", "discoveryName": s.discovery, "clientAliases": []any{map[string]any{"port": 80}}}
	if s.override != 0 {
		connect["ingressPortOverride"] = s.override
	}
	return map[string]any{"serviceName": s.name, "status": "ACTIVE", "desiredCount": s.desired, "runningCount": s.desired, "pendingCount": 0,
		"taskDefinition": s.definition, "platformVersion": "1.4.0",
		"loadBalancers": []any{map[string]any{"targetGroupArn": "arn:" + s.group, "containerPort": 80}},
		"deployments": []any{map[string]any{"status": "PRIMARY", "rolloutState": "COMPLETED",
			"serviceConnectConfiguration": map[string]any{"enabled": true, "services": []any{connect}}}}}
}

// scaleMesh starts or stops the one task of the client service. f.mu is held.
func (f *fakeAWS) scaleMesh(s *fakeService, n int, definition string) {
	s.desired, s.definition = n, definition
	if n == 0 {
		for _, t := range f.tasks {
			if strings.Contains(t.definition, "/LoadMesh:") {
				t.end()
			}
		}
		return
	}
	var load string
	for _, e := range list(at(f.taskDefs[definition], "containerDefinitions", 0, "environment")) {
		if text(at(e, "name")) == "HOPLAB_LOAD_JSON" {
			load = text(at(e, "value"))
		}
	}
	f.start(definition, "/hoplab/load-mesh", "ecs-svc/1", []string{load}, 1).hold = true
}

func (f *fakeAWS) find(arn string) *fakeTask {
	for _, t := range f.tasks {
		if t.arn == arn {
			return t
		}
	}
	return nil
}

// start begins a task; f.mu is held.
func (f *fakeAWS) start(definition, group, startedBy string, command []string, attempt int) *fakeTask {
	t := &fakeTask{arn: fmt.Sprintf("%stask/%s/t%d", arnPrefix, cluster, len(f.tasks)+1), definition: definition,
		group: group, startedBy: startedBy,
		command: command, attempt: attempt, status: "PROVISIONING", stop: make(chan struct{}), done: make(chan struct{})}
	f.tasks = append(f.tasks, t)
	f.tasky.Add(1)
	go func() {
		defer f.tasky.Done()
		defer close(t.done)
		var work func(*fakeTask) int
		f.set(func() {
			work = f.work
			if !f.neverStart {
				t.status = "RUNNING"
			}
		})
		code := work(t)
		f.set(func() {
			t.status = "STOPPED"
			if t.stopCode == "" {
				t.stopCode, t.reason = "EssentialContainerExited", "Essential container in task exited"
			}
			if code >= 0 {
				t.exit = &code
			}
		})
	}()
	return t
}

// set changes the fake while nobody looks at it.
func (f *fakeAWS) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// end asks a task to stop; f.mu is held.
func (t *fakeTask) end() {
	if !t.stopped {
		t.stopped = true
		if t.status != "STOPPED" {
			t.stopCode, t.reason = "UserInitiated", "stopped by the test's caller"
		}
		close(t.stop)
	}
}

func (f *fakeAWS) stopAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.execs {
		e.once.Do(func() { close(e.stop) })
	}
	for _, t := range f.tasks {
		t.end()
	}
}

// running lists the load tasks and executions that are neither at their end nor
// told to stop.
func (f *fakeAWS) running() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, t := range f.tasks {
		if t.status != "STOPPED" && !t.stopped {
			out = append(out, t.arn)
		}
	}
	for _, e := range f.execs {
		select {
		case <-e.stop:
		default:
			if e.status == "RUNNING" {
				out = append(out, e.arn)
			}
		}
	}
	return out
}

func (t *fakeTask) json() map[string]any {
	container := map[string]any{"name": "load"}
	if t.exit != nil {
		container["exitCode"] = *t.exit
	}
	if t.containerReason != "" {
		container["reason"] = t.containerReason
	}
	out := map[string]any{"taskArn": t.arn, "taskDefinitionArn": t.definition, "lastStatus": t.status,
		"startedBy": t.startedBy, "containers": []any{container},
		"overrides": map[string]any{"containerOverrides": []any{map[string]any{"name": "load", "command": t.command}}}}
	if t.status == "STOPPED" {
		out["stopCode"], out["stoppedReason"] = t.stopCode, t.reason
	}
	return out
}

func (f *fakeAWS) logEvents(in map[string]any) (any, error) {
	stream := text(in["logStreamName"])
	for _, t := range f.tasks {
		if t.group != text(in["logGroupName"]) || !strings.HasSuffix(t.arn, "/"+stream[strings.LastIndexByte(stream, '/')+1:]) || len(t.log) == 0 {
			continue
		}
		from := 0
		if tok := text(in["nextToken"]); tok != "" {
			fmt.Sscanf(tok, "f/%d", &from)
		}
		events := []any{}
		for _, l := range t.log[min(from, len(t.log)):] {
			events = append(events, map[string]any{"message": l, "timestamp": time.Now().UnixMilli()})
		}
		return map[string]any{"events": events, "nextForwardToken": fmt.Sprintf("f/%d", len(t.log))}, nil
	}
	return nil, &apiFault{"ResourceNotFoundException", "The specified log stream does not exist."}
}

func (f *fakeAWS) logLine(t *fakeTask, line string) { f.set(func() { t.log = append(t.log, line) }) }

// synthesize is a load task without k6: it computes the records that its
// generator would have made, and counts them in CloudWatch.
func (f *fakeAWS) synthesize(t *fakeTask) int {
	l, err := samplefile.ParseLoad([]byte(t.command[0]))
	if err != nil {
		f.t.Errorf("load: %v", err)
		return 2
	}
	f.put(f.key(&l, "load.json"), []byte(t.command[0]))
	f.logLine(t, `{"msg":"started"}`)
	f.put(f.key(&l, "samples.hop"), f.samples(&l, true))
	f.logLine(t, `{"msg":"finished","records":1}`)
	f.holdOn(t)
	return 0
}

func (f *fakeAWS) holdOn(t *fakeTask) {
	f.mu.Lock()
	hold := t.hold
	f.mu.Unlock()
	if hold {
		f.logLine(t, `{"msg":"holding"}`)
		<-t.stop
	}
}

func (f *fakeAWS) key(l *samplefile.Load, name string) string {
	if l.Generators > 1 {
		name = strings.Replace(name, ".", fmt.Sprintf("-%03d.", l.Generator), 1)
	}
	return fmt.Sprintf("runs/%s/%02d/%s", l.Run, l.Replicate, name)
}

// samples makes a generator's file: every n-th iteration, with a latency that
// is a function of the iteration alone.
func (f *fakeAWS) samples(l *samplefile.Load, counted bool) []byte {
	var b bytes.Buffer
	began := time.Now()
	w, err := samplefile.NewWriter(&b, samplefile.Header{Load: *l, Build: "k6 test", StartUnixNs: began.UnixNano()})
	if err != nil {
		f.t.Errorf("samples: %v", err)
		return nil
	}
	var n int64
	toAgent, toALB, byMesh := map[string]float64{}, map[string]float64{}, 0.0
	for i := int64(l.Generator); i < l.Iterations(); i += int64(max(1, l.Generators)) {
		arm := l.Arm(i)
		name := strings.TrimSuffix(l.Arms[arm].Name, "-twin")
		h := fnv.New32a()
		fmt.Fprint(h, i, l.Replicate)
		rec := samplefile.Record{Arm: arm, Iteration: i, Latency: time.Duration(1000+h.Sum32()%500) * time.Microsecond,
			Outcome: samplefile.Outcome{Status: 200, Peer: "10.0.0.5", ServiceMs: -1, HeaderBytes: 180, BodyBytes: 12, Reused: true}}
		if name != "bypass" {
			rec.Latency += 300 * time.Microsecond
			rec.Outcome.AgentHeaders, rec.Outcome.Peer, rec.Outcome.ServiceMs = 1, "127.0.0.1", 1
		}
		if err := w.Write(rec); err != nil {
			f.t.Error(err)
		}
		n++
		switch name {
		case "mesh":
			toAgent["agent"]++
			byMesh++
		case "agent":
			toAgent["agent"]++
			toALB["agent"]++
		default:
			toALB["bypass"]++
		}
	}
	ended := time.Now()
	if err := w.Close(samplefile.Trailer{Records: n, EndUnixNs: ended.UnixNano()}); err != nil {
		f.t.Error(err)
	}
	if counted {
		f.count(agentSeries("app-agent", "app-agent"), toAgent["agent"], ended)
		for arm, n := range toALB {
			f.count(albSeries("targetgroup/"+arm+"/1"), n, ended)
		}
		f.count(clientSeries("app-agent"), byMesh, ended)
		for key, n := range f.extra {
			f.count(key, n, ended)
		}
	}
	return b.Bytes()
}

// of lists the load tasks of a run, by their command.
func (f *fakeAWS) of(run string) []*fakeTask {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.tasks), func(t *fakeTask) bool { return !strings.Contains(strings.Join(t.command, ""), `"run":"`+run+`"`) })
}
