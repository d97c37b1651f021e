package quiet

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OneCore confines this process, and with it every process that it starts
// from then on, to the last core it may use. Which of the cores the scheduler
// happens to give to which hop is an offset of its own at each start, several
// per cent of a hop's cost; with one core there is nothing to choose.
//
// spread gives the process its cores back; children keep theirs. When the
// machine does not allow it, status says why and nothing is changed; else it
// is "core N". It is for one caller at a time.
func OneCore() (spread func(), status string) {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return func() {}, "not available: " + err.Error()
	}
	core := -1
	for c := 0; c < len(all)*64; c++ {
		if all.IsSet(c) {
			core = c
		}
	}
	one.Set(core)
	if err := confine(&one); err != nil {
		_ = confine(&all)
		return func() {}, "not available: " + err.Error()
	}
	return func() { _ = confine(&all) }, fmt.Sprintf("core %d", core)
}

// confine gives all threads of this process the same cores. A thread that is
// born during one pass has its parent's cores, so a pass that finds no thread
// on others ends it.
func confine(set *unix.CPUSet) error {
	for {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		moved := false
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			var has unix.CPUSet
			if unix.SchedGetaffinity(id, &has) != nil || has == *set {
				continue // ended meanwhile, or there already
			}
			if err := unix.SchedSetaffinity(id, set); err != nil && err != unix.ESRCH {
				return fmt.Errorf("moving a thread to other cores: %w", err)
			}
			moved = true
		}
		if !moved {
			return nil
		}
	}
}

// mine reports whether this process may use a core.
func mine() func(core int) bool {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return func(int) bool { return true }
	}
	return set.IsSet
}
