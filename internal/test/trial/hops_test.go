package trial

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/labtest"
)

func nginxProxy(origin string) string {
	return fmt.Sprintf(`upstream o { server %s; keepalive 256; keepalive_requests 100000000; }
  server { listen 127.0.0.1:$PORT; location / {
    proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $http_host; } }`, origin)
}

// ourselves starts this test binary as another program, which says in its
// first line where it listens and ends with its input.
func ourselves(t testing.TB, args ...string) (addr string, pid int) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := labtest.StartChild(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	addr, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v did not start: %v", args, err)
	}
	return strings.TrimSpace(addr), cmd.Process.Pid
}
