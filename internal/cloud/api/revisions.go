package api

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/cloud/account"
)

// revision is a service as one of its deployments was created.
type revision struct {
	properties map[string]any
	definition string // ARN of its task definition
	seen       time.Time
}

// revisions remembers what the account and the lab forget: with what each
// deployment was created, and task definitions that are no longer there.
type revisions struct {
	mu          sync.Mutex
	deployments map[string]revision // by service and deployment
	definitions definitions
	// ahead are services that run another task definition than their template
	// says, by ARN: UpdateService gave it to them. It holds until the template
	// changes.
	ahead map[string]override
	stops stops
}

// override is a task definition in place of the template's.
type override struct{ template, definition string }

func newRevisions() *revisions {
	return &revisions{deployments: map[string]revision{}, ahead: map[string]override{}, definitions: newDefinitions(), stops: stops{}}
}

// note takes in what there is now. A deployment keeps what was noted first: the
// account has a service's new properties before the lab begins its deployment.
func (r *revisions) note(v *view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.definitions.note(v)
	for _, s := range v.of(typeService) {
		now := v.service(s.ID)
		if now == nil || len(now.Deployments) == 0 {
			continue
		}
		key := s.PhysicalID + " " + now.Deployments[0].ID
		if _, ok := r.deployments[key]; !ok {
			r.deployments[key] = revision{properties: s.Properties, definition: r.definitionLocked(s), seen: time.Now()}
		}
	}
}

// of is the revision of a service's deployment.
func (r *revisions) of(s account.Resource, deployment string) revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rev, ok := r.deployments[s.PhysicalID+" "+deployment]; ok {
		return rev
	}
	return revision{properties: s.Properties, definition: r.definitionLocked(s), seen: s.Updated}
}

// definitionOf is the ARN of the task definition that a service runs.
func (r *revisions) definitionOf(s account.Resource) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.definitionLocked(s)
}

func (r *revisions) definitionLocked(s account.Resource) string {
	template := account.Text(s.Properties, "TaskDefinition")
	if o, ok := r.ahead[s.PhysicalID]; ok {
		if o.template == template {
			return o.definition
		}
		delete(r.ahead, s.PhysicalID)
	}
	return template
}

// override gives a service another task definition than its template's.
func (r *revisions) override(s account.Resource, definition string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	template := account.Text(s.Properties, "TaskDefinition")
	if definition == template {
		delete(r.ahead, s.PhysicalID)
		return
	}
	r.ahead[s.PhysicalID] = override{template: template, definition: definition}
}

// taskMention is how the lab's events name a task.
var taskMention = regexp.MustCompile(`\(task ([0-9a-f]{8})\)`)

// longTasks gives tasks in an event's text the ids that ECS's operations know.
func longTasks(text string) string {
	return taskMention.ReplaceAllStringFunc(text, func(m string) string {
		return "(task " + longTaskID(taskMention.FindStringSubmatch(m)[1]) + ")"
	})
}

// uuid is an id of the form that AWS gives, the same for the same parts, and
// recognisably not AWS's: it begins with eight zeros.
func uuid(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%s\x00", p)
	}
	sum := h.Sum(nil)
	return fmt.Sprintf("00000000-%x-%x-%x-%x", sum[:2], sum[2:4], sum[4:6], sum[6:12])
}

// hexID is an id of n digits after a prefix, as EC2's are: eni-0….
func hexID(prefix string, n int, parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%s\x00", p)
	}
	return prefix + fmt.Sprintf("%x", h.Sum(nil))[:n]
}
