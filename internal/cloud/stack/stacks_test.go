package stack_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/cloud/stack"
)

// services is a provider that notes what is carried out and refuses on demand.
type services struct {
	stacks *stack.Stacks
	mu     sync.Mutex
	log    []string                   // WHAT KEY
	views  map[string]string          // of the view by step
	refuse func(stack.Resource) error // for Identify
	fail   map[string]error           // by logical id, for Carry of a creation
	hold   map[string]chan struct{}
	n      int
}

func (s *services) Identify(r stack.Resource) (stack.Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if err := s.refuse(r); err != nil {
			return stack.Identity{}, err
		}
	}
	if r.PhysicalID != "" {
		return r.Identity, nil
	}
	s.n++
	id := fmt.Sprintf("%s-%d", r.LogicalID, s.n)
	name, _ := r.Properties["ServiceName"].(string)
	return stack.Identity{PhysicalID: id, Name: name, Attributes: map[string]any{"GroupId": id, "Arn": "arn:" + id}}, nil
}

func (s *services) Carry(ctx context.Context, st stack.Step) error {
	view, err := s.stacks.View()
	if err != nil {
		return err
	}
	text := ""
	for _, v := range view {
		text += string(v.Text)
	}
	s.mu.Lock()
	key := string(st.What) + " " + st.Resource.Key
	s.log = append(s.log, key)
	s.views[key] = text
	if st.What == stack.Create {
		err = s.fail[st.Resource.LogicalID]
	}
	hold := s.hold[st.Resource.LogicalID]
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (s *services) Parameter(name string) (string, bool) { return "ami-1", name == "/image" }

func (s *services) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.log
	s.log = nil
	return out
}

func start(t *testing.T) (*stack.Stacks, *services) {
	s := &services{views: map[string]string{}, fail: map[string]error{}, hold: map[string]chan struct{}{}}
	s.stacks = stack.New("000000000000", "eu-central-1", s, nil)
	t.Cleanup(s.stacks.Close)
	return s.stacks, s
}

// put deploys a template and waits for the stack's end state.
func put(t *testing.T, a *stack.Stacks, name, template string, given ...string) string {
	t.Helper()
	in := stack.Input{Stack: name, Kind: "UPDATE", Template: template, Parameters: map[string]string{}}
	for i := 0; i+1 < len(given); i += 2 {
		in.Parameters[given[i]] = given[i+1]
	}
	if _, err := a.Describe(name); err != nil {
		in.Kind = "CREATE"
	}
	if _, err := a.Put(in, false); err != nil {
		t.Fatal(err)
	}
	return settled(t, a, name)
}

func settled(t *testing.T, a *stack.Stacks, name string) string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s, err := a.Describe(name)
		if err != nil {
			return "gone"
		}
		if !strings.HasSuffix(s.Status, "_IN_PROGRESS") {
			return s.Status
		}
	}
	t.Fatal("the stack does not come to an end")
	return ""
}

// app is a small deployment: a group, a rule to it, a task definition and a
// service that uses all, with the image and the port that change.
func app(image, port, more string) string {
	return `{"Parameters": {"Env": {"Type": "String", "Default": "test"}},
	"Conditions": {"Live": {"Fn::Equals": [{"Ref": "Env"}, "live"]}},
	"Resources": {` + more + `
	"Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "g", "SecurityGroupIngress": [{"FromPort": ` + port + `}]}},
	"Rule": {"Type": "AWS::EC2::SecurityGroupEgress", "Properties": {"GroupId": {"Fn::GetAtt": ["Group", "GroupId"]}, "FromPort": ` + port + `}},
	"Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"ContainerDefinitions": [{"Image": "` + image + `"}]}},
	"Svc": {"Type": "AWS::ECS::Service", "DependsOn": "Rule", "Properties": {"ServiceName": "svc", "TaskDefinition": {"Ref": "Task"},
		"NetworkConfiguration": {"Groups": [{"Fn::GetAtt": "Group.GroupId"}]},
		"Tags": [{"Key": "env", "Value": {"Fn::If": ["Live", "live", {"Ref": "AWS::NoValue"}]}}]}}},
	"Outputs": {"Group": {"Value": {"Fn::Sub": "${Group.GroupId}@${AWS::Region}"}, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}:group"}}}}}`
}

func TestUpdateIsInCloudFormationsOrder(t *testing.T) {
	a, s := start(t)
	if got := put(t, a, "app", app("one", "80", "")); got != "CREATE_COMPLETE" {
		t.Fatal(got)
	}
	log := s.took()
	if i, j := slices.Index(log, "CREATE Rule"), slices.Index(log, "CREATE Svc"); i < 0 || j < i || !slices.Contains(log, "CREATE Group") {
		t.Errorf("created in the order %q", log)
	}
	if got := put(t, a, "app", app("two", "8080", "")); got != "UPDATE_COMPLETE" {
		t.Fatal(got)
	}
	log = s.took()
	at := func(what string) int {
		i := slices.Index(log, what)
		if i < 0 {
			t.Fatalf("%s is not among %q", what, log)
		}
		return i
	}
	// The group in place and before the service; the replaced rule and definition
	// are deleted after everything.
	if !(at("UPDATE Group") < at("CREATE RuleR2") && at("CREATE RuleR2") < at("UPDATE Svc") && at("CREATE TaskR2") < at("UPDATE Svc") &&
		at("UPDATE Svc") < at("DELETE Rule") && at("UPDATE Svc") < at("DELETE Task")) || len(log) != 6 {
		t.Errorf("updated in the order %q", log)
	}
	// When the group's turn has come, the service still has its old definition.
	view := s.views["UPDATE Group"]
	if !strings.Contains(view, `"FromPort":"8080"`) || !strings.Contains(view, `"TaskDefinition":{"Ref":"Task"}`) {
		t.Errorf("the view while the group changes: %s", view)
	}
	if view := s.views["UPDATE Svc"]; !strings.Contains(view, `"TaskDefinition":{"Ref":"TaskR2"}`) || !strings.Contains(view, `"Task":`) {
		t.Errorf("the view while the service changes: %s", view)
	}
	last := time.Time{}
	events, err := a.Events("app")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		if !e.Time.After(last) {
			t.Fatalf("event %+v is not after %s", e, last)
		}
		last = e.Time
	}
}

func TestChangeSetSaysWhatWillBe(t *testing.T) {
	a, _ := start(t)
	put(t, a, "app", app("one", "80", ""))
	set := func(template string) stack.ChangeSet {
		t.Helper()
		id, _, err := a.CreateChangeSet(stack.Input{Stack: "app", Name: "set", Kind: "UPDATE", Template: template})
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.ChangeSet("", id)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.DeleteChangeSet("app", "set"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := set(app("one", "80", "")); c.Status != "FAILED" || !strings.Contains(c.Reason, "didn't contain changes") || c.Execution != "UNAVAILABLE" {
		t.Errorf("without changes: %+v", c)
	}
	var got []string
	for _, c := range set(app("two", "80", `"Extra": {"Type": "AWS::IAM::Role"},`)).Changes {
		got = append(got, c.Action+" "+c.LogicalID+" "+c.Replacement)
		if c.LogicalID == "Svc" && (len(c.Details) != 1 || !c.Details[0].Dynamic || c.Details[0].Causing != "Task") {
			t.Errorf("the service's change: %+v", c.Details)
		}
	}
	if want := []string{"Add Extra ", "Modify Task True", "Modify Svc False"}; !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
	if _, err := a.ChangeSet("app", "set"); code(err) != stack.CodeNoChange {
		t.Errorf("a change set that was deleted: %v", err)
	}
}

func code(err error) string {
	var e *stack.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestRollback(t *testing.T) {
	a, s := start(t)
	put(t, a, "app", app("one", "80", ""))
	before, _ := a.Resources("app")
	s.took()
	task := func(list []stack.Resource) any {
		i := slices.IndexFunc(list, func(r stack.Resource) bool { return r.LogicalID == "Svc" })
		return list[i].Properties["TaskDefinition"]
	}
	was := task(before)
	s.refuse = func(r stack.Resource) error {
		if r.LogicalID == "Svc" && r.Stack == "app" && r.Properties["TaskDefinition"] != was {
			return errors.New("no such port")
		}
		return nil
	}
	if got := put(t, a, "app", app("two", "8080", `"Extra": {"Type": "AWS::IAM::Role"},`)); got != "UPDATE_ROLLBACK_COMPLETE" {
		t.Fatal(got)
	}
	after, _ := a.Resources("app")
	for i := range before {
		if len(after) != len(before) || after[i].PhysicalID != before[i].PhysicalID || fmt.Sprint(after[i].Properties) != fmt.Sprint(before[i].Properties) {
			t.Fatalf("after the rollback: %+v; before the update: %+v", after, before)
		}
	}
	if log := s.took(); !slices.Contains(log, "UPDATE Svc") || !slices.Contains(log, "DELETE TaskR2") || !slices.Contains(log, "DELETE Extra") {
		t.Errorf("the rollback: %q", log)
	}
	events, _ := a.Events("app")
	if !slices.ContainsFunc(events, func(e stack.Event) bool {
		return e.Status == "UPDATE_ROLLBACK_IN_PROGRESS" && e.Reason == "The following resource(s) failed to update: [Svc]. "
	}) {
		t.Errorf("no event says why: %+v", events)
	}
	// A stack that could not be created is emptied and stays.
	s.fail["Task"] = errors.New("out of room")
	if got := put(t, a, "other", strings.ReplaceAll(app("one", "80", ""), `"svc"`, `"other"`)); got != "ROLLBACK_COMPLETE" {
		t.Error(got)
	}
	if left, _ := a.Resources("other"); len(left) != 0 {
		t.Errorf("left over: %+v", left)
	}
	if _, err := a.Put(stack.Input{Stack: "other", Kind: "UPDATE", Template: app("one", "80", "")}, false); err == nil {
		t.Error("a stack whose creation failed can be updated")
	}
}

// TestNoRollback: what failed stays, and the next update tries it again.
func TestNoRollback(t *testing.T) {
	a, s := start(t)
	s.refuse = func(r stack.Resource) error {
		if r.LogicalID == "Svc" {
			return errors.New("no such port")
		}
		return nil
	}
	if _, err := a.Put(stack.Input{Stack: "app", Kind: "CREATE", Template: app("one", "80", "")}, true); err != nil {
		t.Fatal(err)
	}
	if got := settled(t, a, "app"); got != "CREATE_FAILED" {
		t.Fatal(got)
	}
	if list, _ := a.Resources("app"); len(list) != 4 {
		t.Errorf("left are %+v", list)
	}
	s.refuse = nil
	s.took()
	if got := put(t, a, "app", app("one", "80", "")); got != "UPDATE_COMPLETE" {
		t.Fatal(got)
	}
	if log := s.took(); !slices.Equal(log, []string{"CREATE SvcR2"}) {
		t.Errorf("the second try: %q", log)
	}
	list, _ := a.Resources("app")
	if i := slices.IndexFunc(list, func(r stack.Resource) bool { return r.LogicalID == "Svc" }); len(list) != 4 || i < 0 || list[i].PhysicalID == "" {
		t.Errorf("there is %+v", list)
	}
}

func TestExportsInUse(t *testing.T) {
	a, _ := start(t)
	put(t, a, "app", app("one", "80", ""))
	importer := `{"Resources": {"R": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": {"Fn::ImportValue": "app:group"}}}}}`
	put(t, a, "user", importer)
	list, _ := a.Resources("user")
	if got := fmt.Sprint(list[0].Properties["GroupDescription"]); !strings.HasSuffix(got, "@eu-central-1") {
		t.Errorf("the imported value is %q", got)
	}
	if err := a.DeleteStack("app"); err != nil {
		t.Fatal(err)
	}
	sum, err := a.Describe("app")
	if err != nil || sum.Status != "CREATE_COMPLETE" || !strings.Contains(sum.Reason, "Cannot delete export app:group as it is in use by user.") {
		t.Errorf("%+v, %v", sum, err)
	}
	without := app("one", "80", "")
	without = without[:strings.Index(without, `"Outputs"`)] + `"Outputs": {}}`
	if got := put(t, a, "app", without); got != "UPDATE_ROLLBACK_COMPLETE" {
		t.Error(got)
	}
	for _, name := range []string{"user", "app"} {
		if err := a.DeleteStack(name); err != nil {
			t.Fatal(err)
		}
		if got := settled(t, a, name); got != "gone" && got != "DELETE_COMPLETE" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if all := a.All(); len(all) != 0 {
		t.Errorf("left over: %+v", all)
	}
	if view, err := a.View(); err != nil || len(view) != 0 {
		t.Errorf("the view of an empty account: %v, %v", view, err)
	}
}

func TestRefusals(t *testing.T) {
	a, _ := start(t)
	put(t, a, "app", app("one", "80", ""))
	for name, c := range map[string]struct{ template, says string }{
		"unknown types": {`{"Resources": {"A": {"Type": "AWS::Glacier::B"}, "C": {"Type": "AWS::Glacier::A"}}}`,
			"does not model AWS::Glacier::A, AWS::Glacier::B"},
		"circle": {`{"Resources": {"A": {"Type": "AWS::IAM::Role", "DependsOn": "B"}, "B": {"Type": "AWS::IAM::Role", "DependsOn": ["A"]}}}`,
			"Circular dependency between resources: [A, B]"},
		"reference to nothing": {`{"Resources": {"A": {"Type": "AWS::IAM::Role", "Properties": {"Path": {"Ref": "B"}}}}}`,
			"Unresolved resource dependencies [B]"},
		"no resources": {`{}`, "At least one Resources member"},
		"transform":    {`{"Transform": "X", "Resources": {"A": {"Type": "AWS::IAM::Role"}}}`, "Transform"},
		"parameter": {`{"Parameters": {"P": {"Type": "String"}}, "Resources": {"A": {"Type": "AWS::IAM::Role"}}}`,
			"Parameters: [P] must have values"},
		"function": {`{"Resources": {"A": {"Type": "AWS::IAM::Role", "Properties": {"Path": {"Fn::Guess": 1}}}}}`,
			"does not know the function Fn::Guess"},
		"text": {`no template`, "Template format error"},
	} {
		_, _, err := a.CreateChangeSet(stack.Input{Stack: "new", Name: "x", Kind: "CREATE", Template: c.template})
		if err == nil || !strings.Contains(err.Error(), c.says) || code(err) != stack.CodeValidation {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
		if _, err := a.Describe("new"); err == nil {
			t.Errorf("%s: the refused stack is there", name)
		}
	}
	// A name that another resource has.
	if got := put(t, a, "second", app("one", "80", "")); got != "ROLLBACK_COMPLETE" {
		t.Error(got)
	}
	events, _ := a.Events("second")
	if !slices.ContainsFunc(events, func(e stack.Event) bool { return strings.HasPrefix(e.Reason, "svc already exists in stack arn:") }) {
		t.Errorf("no event says that the name is taken: %+v", events)
	}
}

func TestFunctions(t *testing.T) {
	a, _ := start(t)
	template := `{"Parameters": {"L": {"Type": "CommaDelimitedList", "Default": "a, b"},
	"Img": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/image"}},
	"Mappings": {"M": {"eu-central-1": {"x": "mapped"}}},
	"Conditions": {"No": {"Fn::Not": [{"Fn::Or": [{"Fn::Equals": ["a", "b"]}, {"Fn::Equals": ["a", "a"]}]}]}},
	"Resources": {"G": {"Type": "AWS::IAM::Role"}, "Never": {"Type": "AWS::IAM::Role", "Condition": "No"},
	"R": {"Type": "AWS::IAM::Role", "Properties": {
		"join": {"Fn::Join": ["-", [{"Fn::Select": ["1", {"Ref": "L"}]}, {"Ref": "AWS::AccountId"}]]},
		"sub": {"Fn::Sub": ["${!raw} ${X} ${AWS::Region} ${G} ${G.Arn}", {"X": "y"}]},
		"find": {"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "x"]},
		"split": {"Fn::Select": [1, {"Fn::Split": [":", {"Fn::GetAtt": ["G", "Arn"]}]}]},
		"cidr": {"Fn::Select": [2, {"Fn::Cidr": ["10.0.0.0/16", 4, 8]}]},
		"azs": {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
		"img": {"Ref": "Img"}, "b64": {"Fn::Base64": "x"}, "len": {"Fn::Length": {"Ref": "L"}},
		"if": {"Fn::If": ["No", "yes", {"Ref": "AWS::NoValue"}]}}}}}`
	if got := put(t, a, "f", template); got != "CREATE_COMPLETE" {
		t.Fatal(got)
	}
	list, _ := a.Resources("f")
	if len(list) != 2 {
		t.Fatalf("%d resources; want 2, for one has a condition that is false", len(list))
	}
	g, r := list[0], list[1]
	for name, want := range map[string]string{
		"join": "b-000000000000", "sub": "${raw} y eu-central-1 " + g.PhysicalID + " arn:" + g.PhysicalID, "find": "mapped",
		"split": g.PhysicalID, "cidr": "10.0.2.0/24", "azs": "eu-central-1a", "img": "ami-1", "b64": "eA==", "len": "2",
	} {
		if got := r.Properties[name]; got != want {
			t.Errorf("%s: %v; want %s", name, got, want)
		}
	}
	if _, ok := r.Properties["if"]; ok {
		t.Error("a property without a value is there")
	}
}

// TestClosedInTheMiddle: what waits gives up, and Close returns.
func TestClosedInTheMiddle(t *testing.T) {
	a, s := start(t)
	s.hold["Task"] = make(chan struct{})
	if _, err := a.Put(stack.Input{Stack: "app", Kind: "CREATE", Template: app("one", "80", "")}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Put(stack.Input{Stack: "app", Kind: "UPDATE", Template: app("two", "80", "")}, false); err == nil {
		t.Error("a stack that is being created can be updated")
	}
	if err := a.DeleteStack("app"); err == nil {
		t.Error("a stack that is being created can be deleted")
	}
	done := make(chan struct{})
	go func() { a.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits for what nobody ends")
	}
}

// TestBounds: templates, stacks, and what functions build are bounded.
func TestBounds(t *testing.T) {
	a, _ := start(t)
	many := `{"Resources": {"R0": {"Type": "AWS::IAM::Role"}`
	for i := range 500 {
		many += fmt.Sprintf(`, "A%d": {"Type": "AWS::IAM::Role"}`, i)
	}
	long := `{"Parameters": {"P": {"Type": "String", "Default": "` + strings.Repeat("x", 4096) + `"}}, "Resources": {"R": {"Type": "AWS::IAM::Role",
		"Properties": {"Path": {"Fn::Sub": "` + strings.Repeat("${P}", 300) + `"}}}}}`
	resource := func(value string) string {
		return `{"Parameters": {"P": {"Type": "String", "Default": "` + strings.Repeat("x", 4096) + `"}}, "Resources": {"R": {"Type": "AWS::IAM::Role",
			"Properties": {"Path": ` + value + `}}}}`
	}
	nested := func(function, text string, depth int) string {
		return resource(strings.Repeat(`{"`+function+`": `, depth) + text + strings.Repeat("}", depth))
	}
	big := `{"Fn::Sub": "` + strings.Repeat("${P}", 250) + `"}`
	aliases := "a: &a [x, x, x, x, x, x, x, x]\n"
	for c := 'a'; c < 'f'; c++ {
		aliases += fmt.Sprintf("%[2]c: &%[2]c [*%[1]c, *%[1]c, *%[1]c, *%[1]c, *%[1]c, *%[1]c, *%[1]c, *%[1]c]\n", c, c+1)
	}
	list := func(item string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	separated := `{"Fn::Join": [` + big + `, ` + list(`"a"`, 100_000) + `]}`
	for name, c := range map[string]struct{ template, says string }{
		"JSON in JSON": {nested("Fn::ToJsonString", `["\""]`, 100), "Fn::ToJsonString makes a text of more than"},
		"base 64":      {nested("Fn::Base64", `"x"`, 150), "Fn::Base64 makes a text of more than"},
		"separators":   {resource(separated), "Fn::Join makes a text of more than"},
		"many texts":   {resource(list(big, 100)), "the functions make more than"},
		"split":        {resource(list(`{"Fn::Split": ["x", `+big+`]}`, 50)), "Fn::Split makes a text of more"},
		"aliases":      {aliases + "Resources: {R: {Type: 'AWS::IAM::Role', Properties: {Path: *f}}}\n", "more than 262144 values"},
		"bytes":        {strings.Repeat(" ", stack.MaxTemplate+1), "may not exceed"},
		"resources":    {many + "}}", "Number of resources"},
		"text":         {long, "Fn::Join makes a text of more than"},
	} {
		if _, err := a.Put(stack.Input{Stack: "s", Kind: "CREATE", Template: c.template}, false); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		_, err = a.Put(stack.Input{Stack: fmt.Sprintf("s%d", i), Kind: "CREATE",
			Template: `{"Resources": {"R": {"Type": "AWS::IAM::Role"}}}`}, false)
	}
	if code(err) != "LimitExceededException" {
		t.Errorf("a thousand stacks: %v", err)
	}
}
