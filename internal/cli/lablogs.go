package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/printable"
)

func newLabLogs(s streams, f *labFlags) *cobra.Command {
	var probes, requests bool
	cmd := &cobra.Command{
		Use:   "logs [SERVICE|INSTANCE]",
		Short: "Access log of the app, health checks and users' requests apart on demand",
		Long: `Print the app's access log, a JSON object per line. Addresses are those of the
modelled network, also on the loopback fabric, where the app itself sees others.`,
		Example: `  hoplab lab logs --probe        # only what load balancers' health checks sent
  hoplab lab logs --requests app # only what users sent`,
		Args: atMost(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var st lab.Status
			if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
				return err
			}
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			logs := appLogs(&st, name)
			if len(logs) == 0 && name != "" {
				return fail.Newf(fail.Usage, "see hoplab lab status", "the lab has no service or instance %q", name)
			}
			time.Sleep(logDelay)
			for _, l := range logs {
				if err := l.print(s, func(probe, access bool) bool { return !probes && !requests || access && probe == probes }); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&probes, "probe", false, "only health checks")
	cmd.Flags().BoolVar(&requests, "requests", false, "only requests of users")
	cmd.MarkFlagsMutuallyExclusive("probe", "requests")
	return cmd
}

// logDelay is how long a line may wait in the app before it is in the log: it
// writes every 100 ms, so that the log costs the requests nothing. Waiting it
// out shows every request that was answered before the command.
const logDelay = 150 * time.Millisecond

// appLog is the log of one app, and what its addresses stand for.
type appLog struct {
	path    string
	real    string            // port on which the app really listens
	ip      string            // modelled address of its host
	port    uint16            // and port
	callers map[string]string // modelled addresses by what the app sees
}

// appLogs lists the logs of a service's or an instance's apps, of all without a name.
func appLogs(st *lab.Status, name string) (out []appLog) {
	add := func(ip string, apps []lab.AppStatus) {
		for _, a := range apps {
			_, real := cutAddress(a.Address)
			out = append(out, appLog{path: a.Log, real: real, ip: ip, port: a.Port, callers: st.Addresses})
		}
	}
	for _, sv := range st.Services {
		if name == "" || name == sv.Name || name == string(sv.ID) {
			for _, t := range sv.Tasks {
				add(t.IP, t.Apps)
			}
		}
	}
	for _, in := range st.Instances {
		if name == "" || name == in.Name || name == string(in.ID) || name == in.Instance {
			add(in.IP, in.Apps)
		}
	}
	return out
}

func cutAddress(addr string) (host, port string) {
	i := bytes.LastIndexByte([]byte(addr), ':')
	return addr[:max(i, 0)], addr[i+1:]
}

// probeAgent is the User-Agent of an ALB's health check (section 6 of the semantics).
const probeAgent = "ELB-HealthChecker/2.0"

// print writes the lines that want asks for.
func (l appLog) print(s streams, want func(probe, access bool) bool) error {
	data, err := os.ReadFile(l.path)
	if err != nil {
		return fail.Newf(fail.Environment, "see hoplab lab status", "the app's log: %w", err)
	}
	for line := range bytes.Lines(data) {
		var fields struct {
			Msg    string
			Remote string `json:"remote_addr"`
			Server string `json:"server_addr"`
			Agent  string `json:"user_agent"`
		}
		if json.Unmarshal(line, &fields) != nil {
			continue // a line in the making
		}
		access := fields.Msg == "access"
		if !want(fields.Agent == probeAgent, access) {
			continue
		}
		if access {
			line = l.modelled(line, fields.Remote, fields.Server)
		}
		if _, err := s.out.Write(printable.Document(line)); err != nil {
			return err
		}
	}
	return nil
}

// modelled puts the modelled addresses into a line of the access log. A caller
// that the fabric does not know is the agent, or a program, of the same task.
func (l appLog) modelled(line []byte, remote, server string) []byte {
	set := func(field, was, is string) {
		line = bytes.Replace(line, []byte(`"`+field+`":"`+was+`"`), []byte(`"`+field+`":"`+is+`"`), 1)
	}
	set("server_port", l.real, strconv.Itoa(int(l.port)))
	if from, ok := l.callers[remote]; ok {
		set("remote_addr", remote, from)
		set("server_addr", server, l.ip)
	}
	return line
}
