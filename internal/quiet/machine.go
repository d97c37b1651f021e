package quiet

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/run"
)

// Machine fills the part of an environment that describes the machine. What
// cannot be read stays empty.
func Machine() run.Environment {
	env := run.Environment{OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		env.Kernel = strings.TrimSpace(string(data))
	}
	env.CPU = field("/proc/cpuinfo", "model name")
	if strings.Contains(" "+field("/proc/cpuinfo", "flags")+" ", " hypervisor ") {
		env.Virtual = "yes (the CPU reports a hypervisor)"
	}
	if kb, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		env.MemoryMiB = kb / 1024
	}
	return env
}

// field returns the value of the first "name : value" line of a /proc file.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if k, v, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
