package cloud

import (
	"encoding/json"
	"os"
	"slices"
	"time"

	"github.com/hoplab/hoplab/internal/cloud/resource"
	"github.com/hoplab/hoplab/internal/cloud/stack"
)

// Summary says what the account holds.
type Summary struct {
	Endpoint string    `json:"endpoint"`
	Region   string    `json:"region"`
	PID      int       `json:"pid"`
	Since    time.Time `json:"since"`
	Stacks   []Stack   `json:"stacks"`
	// StateOnly counts the resources behind which nothing runs, by type.
	StateOnly map[string]int `json:"state_only,omitempty"`
	// Images are those that containers name and that are not run.
	Images []string `json:"images,omitempty"`
	// Apps are the commands that stand for images of single services, as
	// SERVICE=COMMAND.
	Apps []string `json:"apps,omitempty"`
}

// Stack is a stack of the summary.
type Stack struct {
	Name      string `json:"name"`
	Status    string `json:"status"`
	Reason    string `json:"reason,omitempty"`
	Resources int    `json:"resources"`
}

// Summary says what the account holds now.
func (c *Cloud) Summary() Summary {
	out := Summary{Endpoint: c.endpoint, Region: c.opts.Region, PID: os.Getpid(), Since: c.begun,
		Stacks: []Stack{}, StateOnly: map[string]int{}}
	resources := map[string]int{}
	for _, r := range c.stacks.All() {
		resources[r.StackID]++
		if resource.KindOf(r.Type) == resource.State && r.PhysicalID != "" {
			out.StateOnly[r.Type]++
		}
		for _, image := range images(r) {
			if !slices.Contains(out.Images, image) {
				out.Images = append(out.Images, image)
			}
		}
	}
	slices.Sort(out.Images)
	for i := range c.opts.Lab.Programs {
		out.Apps = append(out.Apps, c.opts.Lab.Programs[i].String())
	}
	list := c.stacks.List(false)
	slices.Reverse(list)
	for _, s := range list {
		out.Stacks = append(out.Stacks, Stack{Name: s.Name, Status: s.Status, Reason: s.Reason, Resources: resources[s.ID]})
	}
	return out
}

func images(r stack.Resource) (out []string) {
	if r.Type != "AWS::ECS::TaskDefinition" {
		return nil
	}
	list, _ := r.Properties["ContainerDefinitions"].([]any)
	for _, d := range list {
		if m, ok := d.(map[string]any); ok {
			if image, ok := m["Image"].(string); ok {
				out = append(out, image)
			}
		}
	}
	return out
}

// journal keeps the summary in a file, so that the next account at the same
// place can say what was there when this one was killed.
type journal struct {
	path    string
	summary func() Summary
	dirty   chan struct{}
	ended   chan struct{}
}

func newJournal(path string, summary func() Summary) *journal {
	return &journal{path: path, summary: summary, dirty: make(chan struct{}, 1), ended: make(chan struct{})}
}

// changed has the file written soon; it does not wait.
func (j *journal) changed() {
	select {
	case j.dirty <- struct{}{}:
	default:
	}
}

func (j *journal) close() { close(j.ended) }

func (j *journal) run() {
	for {
		select {
		case <-j.ended:
			return
		case <-j.dirty:
			j.write()
		}
	}
}

// write replaces the file. What cannot be written is not: the account works
// without, and the next one knows less.
func (j *journal) write() {
	if j.path == "" {
		return
	}
	data, err := json.Marshal(j.summary())
	if err != nil {
		return
	}
	next := j.path + ".next"
	if os.WriteFile(next, data, 0o600) == nil {
		_ = os.Rename(next, j.path)
	}
}
