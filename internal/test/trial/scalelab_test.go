package trial

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/topology"
)

// scaleLab is a process that starts a lab of a template and says how many
// nanoseconds that took. For each line that it reads it does one thing more and
// says how long that took: "more" gives the first service more tasks, the next
// line stops the lab.
func scaleLab(template, app, fabric, envoy string) int {
	if code, done, err := lab.Enter(fabric); done || err != nil {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}
	if err := runScaleLab(template, app, fabric, envoy, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runScaleLab(template, app, fabric, envoy string, in io.Reader, out io.Writer) error {
	a, err := cfn.Load([]string{template}, cfn.Options{})
	if err != nil {
		return err
	}
	topo, err := deployment.FromTemplates(a)
	if err != nil {
		return err
	}
	labtest.AllKnown(topo)
	o := lab.Options{Topology: topo, Fabric: fabric, App: lab.App{Command: []string{app}}, ShareAgents: true}
	if envoy != "" {
		o.Agent, o.Envoy = lab.AgentEnvoy, envoy
	}
	if path := os.Getenv("SCALE_PROFILE"); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	begin := time.Now()
	l, err := lab.Start(context.Background(), o)
	if err != nil {
		return err
	}
	pprof.StopCPUProfile()
	fmt.Fprintln(out, int64(time.Since(begin)))
	lines := bufio.NewScanner(in)
	if lines.Scan() && lines.Text() == "more" {
		took, err := more(l, topo.Services[0])
		if err != nil {
			return errors.Join(err, l.Close())
		}
		fmt.Fprintln(out, int64(took))
		lines.Scan()
	}
	begin = time.Now()
	err = l.Close()
	fmt.Fprintln(out, int64(time.Since(begin)))
	return err
}

// moreTasks is how many tasks a scale-out adds.
const moreTasks = 20

// more scales a service out and returns how long that took until the agents of
// all tasks send requests to the new ones too.
func more(l *lab.Lab, s *topology.Service) (time.Duration, error) {
	want := s.DesiredCount.Or(1) + moreTasks
	begin := time.Now()
	if err := l.Scale(lab.TaskRef{Service: s.ID}, want); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	name := s.Name.Or("") + ".mesh:80"
	for _, other := range l.Status().Services {
		for _, t := range other.Tasks {
			if t.Agent == nil {
				return 0, fmt.Errorf("task %s of %s has no agent that answers", t.ID, other.Name)
			}
			for _, e := range t.Agent.Egress {
				if e.Name == name && len(e.PerTarget) != want {
					return 0, fmt.Errorf("the agent of task %s of %s knows %d of %d tasks", t.ID, other.Name, len(e.PerTarget), want)
				}
			}
		}
	}
	return took, nil
}
