package api

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/cloud/wire"
	"github.com/hoplab/hoplab/internal/lab"
)

func (a *API) registerLogs(s *wire.Server) {
	wire.Handle(s, "logs", "DescribeLogGroups", a.describeLogGroups)
	wire.Handle(s, "logs", "DescribeLogStreams", a.describeLogStreams)
	wire.Handle(s, "logs", "GetLogEvents", a.getLogEvents)
	wire.Handle(s, "logs", "FilterLogEvents", a.filterLogEvents)
}

// stream is a log stream: the files of a container of a task.
type stream struct {
	group, name string
	files       []string
	created     time.Time
}

func noLogGroup() error {
	return &types.ResourceNotFoundException{Message: aws.String("The specified log group does not exist.")}
}

// logGroup returns the name of a log group that a request names, or whose ARN it
// gives.
func (v *view) logGroup(name, identifier *string) (string, error) {
	want := aws.ToString(name)
	if id := aws.ToString(identifier); id != "" {
		_, tail, isARN := strings.Cut(id, ":log-group:")
		if want = id; isARN {
			want = strings.TrimSuffix(tail, ":*")
		}
	}
	for _, r := range v.of(typeLogGroup) {
		if r.PhysicalID == want {
			return want, nil
		}
	}
	return "", noLogGroup()
}

// streams lists the streams of a log group by name: of every container whose
// definition logs to it, and of agents whose service's does.
func (a *API) streams(v *view, group string) (out []stream) {
	add := func(options map[string]string, name, task string, created time.Time, files []string) {
		if options["awslogs-group"] == group && len(files) > 0 {
			out = append(out, stream{group: group, name: options["awslogs-stream-prefix"] + "/" + name + "/" + task, files: files, created: created})
		}
	}
	for _, r := range v.of(typeService) {
		now := v.service(r.ID)
		if now == nil {
			continue
		}
		ofTask := func(id, deployment, dir string, created time.Time) {
			rev := a.revisions.of(r, deployment)
			if d, err := a.definition(v, rev.definition); err == nil {
				for _, c := range d.ContainerDefinitions {
					if _, _, loads := loadContainer(d, nil); loads {
						continue // below: its program is not the lab's
					}
					add(logOptions(c), aws.ToString(c.Name), longTaskID(id), created, lab.LogFiles(dir, aws.ToString(c.Name)))
				}
			}
			agent := map[string]string{}
			for k, o := range account.Map(rev.properties, "ServiceConnectConfiguration", "LogConfiguration", "Options") {
				agent[k], _ = o.(string)
			}
			add(agent, agentName(id), longTaskID(id), created, existing(lab.AgentLog(dir)))
		}
		for _, t := range now.Tasks {
			ofTask(t.ID, t.Deployment, t.Dir, v.lab.Time(t.Started))
		}
		for _, t := range now.Stopped {
			ofTask(t.ID, t.Deployment, t.Dir, v.lab.Time(t.At))
		}
	}
	for _, t := range a.tasks.list() {
		if c, _, ok := loadContainer(t.definition, t.overrides); ok {
			add(logOptions(*c), aws.ToString(c.Name), t.id, t.created, existing(container.LogFile(t.dir)))
		}
	}
	slices.SortFunc(out, func(x, y stream) int { return cmp.Compare(x.name, y.name) })
	return out
}

// existing is a list of the file, if it is there.
func existing(path string) []string {
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	return []string{path}
}

func logOptions(c ecstypes.ContainerDefinition) map[string]string {
	if c.LogConfiguration == nil || c.LogConfiguration.LogDriver != ecstypes.LogDriverAwslogs {
		return nil
	}
	return c.LogConfiguration.Options
}

func (a *API) describeLogGroups(_ context.Context,
	in *cloudwatchlogs.DescribeLogGroupsInput) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	v := a.resources()
	var all []types.LogGroup
	for _, r := range v.of(typeLogGroup) {
		name := r.PhysicalID
		prefix, pattern := aws.ToString(in.LogGroupNamePrefix), aws.ToString(in.LogGroupNamePattern)
		if !strings.HasPrefix(name, prefix) || !strings.Contains(strings.ToLower(name), strings.ToLower(pattern)) ||
			len(in.LogGroupIdentifiers) > 0 && !slices.Contains(in.LogGroupIdentifiers, name) {
			continue
		}
		arn := v.arn("logs", "log-group:"+name)
		g := types.LogGroup{LogGroupName: aws.String(name), Arn: aws.String(arn + ":*"), LogGroupArn: aws.String(arn),
			CreationTime: aws.Int64(r.Created.UnixMilli()), MetricFilterCount: aws.Int32(0), StoredBytes: aws.Int64(0),
			LogGroupClass: types.LogGroupClassStandard}
		if days, ok := account.Int(r.Properties, "RetentionInDays"); ok {
			g.RetentionInDays = aws.Int32(int32(days))
		}
		all = append(all, g)
	}
	slices.SortFunc(all, func(x, y types.LogGroup) int { return cmp.Compare(*x.LogGroupName, *y.LogGroupName) })
	all, next := page(all, in.NextToken, or32(in.Limit, 50), func(g types.LogGroup) string { return *g.LogGroupName })
	return &cloudwatchlogs.DescribeLogGroupsOutput{LogGroups: there(all), NextToken: next}, nil
}

func (a *API) describeLogStreams(_ context.Context,
	in *cloudwatchlogs.DescribeLogStreamsInput) (*cloudwatchlogs.DescribeLogStreamsOutput, error) {
	v := a.look()
	group, err := v.logGroup(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	var all []types.LogStream
	for _, s := range a.streams(v, group) {
		if !strings.HasPrefix(s.name, aws.ToString(in.LogStreamNamePrefix)) {
			continue
		}
		x := types.LogStream{LogStreamName: aws.String(s.name), CreationTime: aws.Int64(s.created.UnixMilli()), StoredBytes: aws.Int64(0),
			Arn: aws.String(v.arn("logs", "log-group:"+group+":log-stream:"+s.name))}
		if first, last, ok := s.span(); ok {
			x.FirstEventTimestamp, x.LastEventTimestamp, x.LastIngestionTime = aws.Int64(first), aws.Int64(last), aws.Int64(last)
		}
		all = append(all, x)
	}
	if in.OrderBy == types.OrderByLastEventTime {
		slices.SortStableFunc(all, func(x, y types.LogStream) int {
			return cmp.Compare(aws.ToInt64(x.LastEventTimestamp), aws.ToInt64(y.LastEventTimestamp))
		})
	}
	if aws.ToBool(in.Descending) {
		slices.Reverse(all)
	}
	all, next := page(all, in.NextToken, or32(in.Limit, 50), func(s types.LogStream) string { return *s.LogStreamName })
	return &cloudwatchlogs.DescribeLogStreamsOutput{LogStreams: there(all), NextToken: next}, nil
}

// between reports whether an event is in a request's span: from start on and
// before end, in milliseconds, either of which may be left out.
func between(e event, start, end *int64) bool {
	return (start == nil || e.at >= *start) && (end == nil || e.at < *end)
}

// maxEvents is how many events one answer has at most, as in AWS.
const maxEvents = 10_000

func (a *API) getLogEvents(_ context.Context, in *cloudwatchlogs.GetLogEventsInput) (*cloudwatchlogs.GetLogEventsOutput, error) {
	v := a.look()
	group, err := v.logGroup(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	all := a.streams(v, group)
	i := slices.IndexFunc(all, func(s stream) bool { return s.name == aws.ToString(in.LogStreamName) })
	if i < 0 {
		return nil, &types.ResourceNotFoundException{Message: aws.String("The specified log stream does not exist.")}
	}
	var events []event
	for _, e := range all[i].read() {
		if between(e, in.StartTime, in.EndTime) {
			events = append(events, e)
		}
	}
	from, to, err := window(len(events), in)
	if err != nil {
		return nil, err
	}
	out := &cloudwatchlogs.GetLogEventsOutput{Events: []types.OutputLogEvent{}, NextForwardToken: aws.String("f/" + strconv.Itoa(to)),
		NextBackwardToken: aws.String("b/" + strconv.Itoa(from))}
	for _, e := range events[from:to] {
		out.Events = append(out.Events, types.OutputLogEvent{Timestamp: aws.Int64(e.at), IngestionTime: aws.Int64(e.at),
			Message: aws.String(e.text)})
	}
	return out, nil
}

// window is which of n events an answer has. A token of ours is f/ or b/ and a
// place: forward from there, or backward to it.
func window(n int, in *cloudwatchlogs.GetLogEventsInput) (from, to int, err error) {
	most := min(int(or32(in.Limit, maxEvents)), maxEvents)
	token := aws.ToString(in.NextToken)
	if token == "" {
		if aws.ToBool(in.StartFromHead) {
			return 0, min(n, most), nil
		}
		return max(0, n-most), n, nil
	}
	way, digits, _ := strings.Cut(token, "/")
	at, err := strconv.Atoi(digits)
	if err != nil || at < 0 || way != "f" && way != "b" {
		return 0, 0, &types.InvalidParameterException{Message: aws.String("The specified nextToken is invalid.")}
	}
	at = min(at, n)
	if way == "b" {
		return max(0, at-most), at, nil
	}
	return at, min(n, at+most), nil
}

func (a *API) filterLogEvents(_ context.Context, in *cloudwatchlogs.FilterLogEventsInput) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	v := a.look()
	group, err := v.logGroup(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	wants, err := pattern(aws.ToString(in.FilterPattern))
	if err != nil {
		return nil, err
	}
	var all []types.FilteredLogEvent
	for _, s := range a.streams(v, group) {
		if len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, s.name) || !strings.HasPrefix(s.name, aws.ToString(in.LogStreamNamePrefix)) {
			continue
		}
		for i, e := range s.read() {
			if between(e, in.StartTime, in.EndTime) && wants(e.text) {
				all = append(all, types.FilteredLogEvent{LogStreamName: aws.String(s.name), Timestamp: aws.Int64(e.at), IngestionTime: aws.Int64(e.at),
					Message: aws.String(e.text), EventId: aws.String(uuid(s.name, strconv.Itoa(i)))})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y types.FilteredLogEvent) int { return cmp.Compare(*x.Timestamp, *y.Timestamp) })
	all, next := page(all, in.NextToken, min(or32(in.Limit, maxEvents), maxEvents), func(e types.FilteredLogEvent) string { return *e.EventId })
	return &cloudwatchlogs.FilterLogEventsOutput{Events: there(all), NextToken: next, SearchedLogStreams: []types.SearchedLogStream{}}, nil
}

// pattern is the part of CloudWatch's filter patterns that looks for words: all
// of them, those behind a minus not, those behind a question mark any.
func pattern(text string) (func(string) bool, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "%") {
		return nil, &types.InvalidParameterException{Message: aws.String("hoplab cloud filters by words, and knows no pattern such as " + text)}
	}
	var all, none, some []string
	for _, w := range words(text) {
		switch {
		case strings.HasPrefix(w, "-"):
			none = append(none, unquoted(w[1:]))
		case strings.HasPrefix(w, "?"):
			some = append(some, unquoted(w[1:]))
		default:
			all = append(all, unquoted(w))
		}
	}
	return func(line string) bool {
		has := func(w string) bool { return strings.Contains(line, w) }
		lacks := func(w string) bool { return !has(w) }
		return !slices.ContainsFunc(all, lacks) && !slices.ContainsFunc(none, has) && (len(some) == 0 || slices.ContainsFunc(some, has))
	}, nil
}

// words splits a pattern at blanks outside quotes.
func words(text string) []string {
	quoted := false
	return strings.FieldsFunc(text, func(c rune) bool {
		if c == '"' {
			quoted = !quoted
		}
		return c == ' ' && !quoted
	})
}

func unquoted(w string) string {
	var s string
	if json.Unmarshal([]byte(w), &s) == nil {
		return s
	}
	return strings.Trim(w, `"`)
}
