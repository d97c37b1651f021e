package labtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/lab"
)

// PIDs lists the processes of a lab.
func PIDs(st lab.Status) (pids []int) {
	for _, s := range st.Services {
		for _, task := range s.Tasks {
			pids = append(pids, task.PIDs...)
		}
	}
	for _, b := range st.LoadBalancers {
		pids = append(pids, b.PID)
	}
	return pids
}

// Alive reports whether a process runs, as /proc has it: one that has ended
// and waits for somebody to ask how does not.
func Alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// Hold is the body of a process that runs a lab of the stacks with both arms,
// prints the processes that it has, and waits to be killed. It returns the
// exit code when there is no lab.
func Hold(o lab.Options) int {
	err := hold(o)
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func hold(o lab.Options) (err error) {
	if o.Topology, err = Read("both"); err != nil {
		return err
	}
	l, err := lab.Start(context.Background(), o)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(PIDs(l.Status())); err != nil {
		return err
	}
	select {}
}

// Held starts this test binary with arguments that make it Hold a lab, and
// returns it with the lab's processes, of which there must be atLeast so many.
// The test may kill it; it ends with the test.
func Held(t *testing.T, atLeast int, args ...string) (holder *os.Process, pids []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the lab did not start")
	}
	if err := json.Unmarshal([]byte(line), &pids); err != nil || len(pids) < atLeast {
		t.Fatalf("processes %s, want at least %d: %v", line, atLeast, err)
	}
	return cmd.Process, pids
}
