package capacity

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// labFiles are the descriptors that a lab needs beside its tasks': load
// balancers, logs, sockets, what is open while tasks start.
const labFiles = 100

// Machine lists what this machine has of what the lab needs. What it does not
// tell is left out.
func Machine(u Use) []Resource {
	var out []Resource
	add := func(r Resource, known bool) {
		if known {
			out = append(out, r)
		}
	}
	var files unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	add(Resource{What: "open files of one process (ulimit -n)", Fixed: labFiles, PerTask: u.files(),
		Free:  int64(min(files.Cur, 1<<30)) - open(),
		Raise: "raise the limit with ulimit -n " + need(labFiles+open(), u.files(), u)}, err == nil)

	threads, ok := threadsLeft()
	add(Resource{What: "threads (ulimit -u, pids.max of the control group, kernel.threads-max)",
		Fixed: 50, PerTask: u.threads(), Free: threads,
		Raise: "raise the limit of processes, with ulimit -u or in the control group"}, ok)

	memory, ok := memoryLeft()
	add(Resource{What: "MB of memory", Fixed: 50, PerTask: u.megabytes(), Free: memory >> 20, Raise: "free some memory"}, ok)

	if u.Namespaces {
		for _, kind := range []string{"net", "mnt"} {
			n, ok := number("/proc/sys/user/max_" + kind + "_namespaces")
			add(Resource{What: kind + " namespaces (user.max_" + kind + "_namespaces)", Fixed: 5, PerTask: 1, Free: n,
				Raise: "raise it with sysctl -w user.max_" + kind + "_namespaces=" + need(5, 1, u)}, ok)
		}
	}
	// No inotify instances: an Envoy gets its endpoints from its control plane and
	// watches no file, and neither does anything else in a lab.
	return out
}

// need is the limit that would do.
func need(fixed, perTask int64, u Use) string {
	return strconv.FormatInt(fixed+perTask*int64(u.Tasks), 10)
}

// open is how many descriptors this process has.
func open() int64 {
	list, _ := os.ReadDir("/proc/self/fd")
	return int64(len(list))
}

// number reads a file of one number; "max" is no limit.
func number(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// lower makes a free amount of what one more limit leaves, if it is known.
func lower(free *int64, known *bool, left int64, ok bool) {
	if ok && (!*known || left < *free) {
		*free, *known = left, true
	}
}

// threadsLeft is how many more threads may be started, by the limit of the user,
// that of the control group and the kernel's.
func threadsLeft() (free int64, known bool) {
	var procs unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &procs); err == nil && procs.Cur < 1<<30 && os.Getuid() != 0 {
		lower(&free, &known, int64(procs.Cur)-threadsOf(os.Getuid()), true)
	}
	for dir := group(); dir != ""; dir = parent(dir) {
		limit, ok := number(filepath.Join(dir, "pids.max"))
		now, ok2 := number(filepath.Join(dir, "pids.current"))
		lower(&free, &known, limit-now, ok && ok2)
	}
	limit, ok := number("/proc/sys/kernel/threads-max")
	lower(&free, &known, limit, ok)
	return free, known
}

// threadsOf counts a user's threads.
func threadsOf(uid int) (n int64) {
	dirs, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	for _, dir := range dirs {
		var st unix.Stat_t
		if unix.Stat(dir, &st) == nil && int(st.Uid) == uid {
			n++
		}
	}
	return n
}

// memoryLeft is how much memory programs can have, by the kernel's estimate and
// the control group's limits.
func memoryLeft() (free int64, known bool) {
	f, err := os.Open("/proc/meminfo")
	if err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if rest, ok := strings.CutPrefix(s.Text(), "MemAvailable:"); ok {
				kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				lower(&free, &known, kb<<10, err == nil)
			}
		}
	}
	for dir := group(); dir != ""; dir = parent(dir) {
		limit, ok := number(filepath.Join(dir, "memory.max"))
		now, ok2 := number(filepath.Join(dir, "memory.current"))
		lower(&free, &known, limit-now, ok && ok2)
	}
	return free, known
}

// groups is where control groups are (version 2).
const groups = "/sys/fs/cgroup"

// group is the directory of this process's control group; empty when there is none.
func group() string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return filepath.Join(groups, path)
		}
	}
	return ""
}

// parent is the control group above, or empty at the top.
func parent(dir string) string {
	if dir == groups || !strings.HasPrefix(dir, groups+"/") {
		return ""
	}
	return filepath.Dir(dir)
}
