package trial

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/source/cfn/deployment"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

// scaleLab is a process that starts a lab of a template, says how many
// nanoseconds that took, waits for a line, and says how long the stop took.
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
	bufio.NewReader(in).ReadString('\n')
	begin = time.Now()
	err = l.Close()
	fmt.Fprintln(out, int64(time.Since(begin)))
	return err
}
