//go:build unix && !linux

package capacity

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// labFiles are the descriptors that a lab needs beside its tasks'.
const labFiles = 100

// Machine lists what this machine has of what the lab needs, as far as it tells.
func Machine(u Use) []Resource {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return nil
	}
	list, _ := os.ReadDir("/dev/fd")
	used := int64(len(list))
	return []Resource{{What: "open files of one process (ulimit -n)", Fixed: labFiles, PerTask: u.files(),
		Free:  int64(min(files.Cur, 1<<30)) - used,
		Raise: "raise the limit with ulimit -n " + strconv.FormatInt(labFiles+used+u.files()*int64(u.Tasks), 10)}}
}
