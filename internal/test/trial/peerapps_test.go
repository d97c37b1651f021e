package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	k6build "github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/labtest"
)

func fault1(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// stopTimeout is how long an app's program may take to finish what is open.
const stopTimeout = time.Second

// runApp runs a program that listens on addr as the lab's app.
func runApp(addr string, cmd *exec.Cmd) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cmd.Stderr = os.Stderr
	if err := labtest.StartChild(cmd); err != nil {
		return fault1(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(limit) {
			return fault1(fmt.Errorf("%s does not listen on %s", cmd.Path, addr))
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"msg": "listening", "address": addr}); err != nil {
		return fault1(err)
	}
	<-ctx.Done()
	cmd.Process.Signal(syscall.SIGQUIT) // nginx: finish what is open
	late := time.AfterFunc(stopTimeout, func() { cmd.Process.Kill() })
	defer late.Stop()
	cmd.Wait()
	return 0
}

// k6 runs 10 users for a second; every check must hold.
func k6(t *testing.T, h *hop) (string, error) {
	r, err := repo.Find()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	b, err := k6build.Build(ctx, r, os.Stderr)
	if err != nil {
		return "", err
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "script.js")
	labtest.Write(t, script, `import http from 'k6/http';
import { check } from 'k6';
export const options = { vus: 10, iterations: 200, thresholds: { checks: ['rate==1'] } };
export default function () {
  const r = http.get(__ENV.URL, { headers: { Host: __ENV.HOST } });
  check(r, { 'nginx answers': (r) => r.status === 200 && r.body === 'nginx\n' });
}
`)
	out, err := exec.CommandContext(ctx, b.Path, "run", "--quiet", "--no-usage-report", "-e", "URL=http://"+h.to.Dial+"/", "-e", "HOST="+h.host, script).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return "ok", nil
}
