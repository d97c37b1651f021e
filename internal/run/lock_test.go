package run_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/run"
)

// TestLock: a second writer is refused and told who the first is; a lock file
// that a killed process has left is no lock.
func TestLock(t *testing.T) {
	d := create(t)
	unlock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	again, err := run.Open(d.Path)
	if err != nil {
		t.Fatal("reading beside the writer: ", err)
	}
	_, err = again.Lock()
	if fail.CodeOf(err) != fail.Usage || !strings.Contains(fmt.Sprint(err), fmt.Sprintf("process %d on ", os.Getpid())) {
		t.Errorf("a second writer: %v", err)
	}
	unlock()
	left := filepath.Join(d.Path, ".lock")
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the lock's file stays: %v", err)
	}
	if err := os.WriteFile(left, []byte("process 1 on elsewhere\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	unlock, err = again.Lock()
	if err != nil {
		t.Fatalf("after a killed process: %v", err)
	}
	unlock()
}

// TestLockOfMany: of many writers at once there is never more than one.
func TestLockOfMany(t *testing.T) {
	d := create(t)
	var inside, most, got atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				unlock, err := d.Lock()
				if err != nil {
					continue
				}
				got.Add(1)
				if n := inside.Add(1); n > most.Load() {
					most.Store(n)
				}
				inside.Add(-1)
				unlock()
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 || got.Load() == 0 {
		t.Errorf("%d writers at once, %d locks", most.Load(), got.Load())
	}
}

// TestCreateTwice: of two that make the same directory at once one is refused.
func TestCreateTwice(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "r")
		p := create(t).Plan
		var made atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := run.Create(path, p, run.Environment{}); err == nil {
					made.Add(1)
				} else if fail.CodeOf(err) != fail.Usage {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Fatalf("%d made the directory", made.Load())
		}
	}
}
