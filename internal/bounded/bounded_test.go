package bounded

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := Read(path, 5); err != nil || string(data) != "12345" {
		t.Errorf("at the limit: %q, %v", data, err)
	}
	if _, err := Read(path, 4); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := Read("/dev/zero", 1<<20); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "1 MiB") {
		t.Errorf("a file without an end: %v", err)
	}
	if _, err := Read(path+"x", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestReadBelow has what may stand in a directory in place of a file.
func TestReadBelow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	at := func(name string) string { return filepath.Join(dir, name) }
	secret := filepath.Join(filepath.Dir(dir), "secret")
	socket, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for _, err := range []error{
		os.MkdirAll(at("sub"), 0o700), os.WriteFile(at("f"), []byte("12345"), 0o600), os.WriteFile(secret, []byte("x"), 0o600),
		os.Symlink("f", at("in")), os.Symlink("../f", at("sub/up")), os.Symlink("../secret", at("out")), os.Symlink(secret, at("far")),
		os.Symlink("..", at("parent")), os.Symlink("/dev/zero", at("zero")), os.Symlink("loop", at("loop")), syscall.Mkfifo(at("pipe"), 0o600),
		os.Symlink("pipe", at("topipe")), os.Rename(socket.Addr().String(), at("socket")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]error{"f": nil, "in": nil, "sub/up": nil, "sub/../f": nil, "out": ErrOutside, "far": ErrOutside,
		"parent/secret": ErrOutside, "../secret": ErrOutside, "zero": ErrOutside, "pipe": ErrNotRegular, "topipe": ErrNotRegular,
		"sub": ErrNotRegular, "socket": ErrNotRegular, "none": fs.ErrNotExist, "loop": syscall.ELOOP} {
		done := make(chan error, 1)
		go func() {
			data, err := ReadBelow(dir, at(name), 5)
			if err == nil && string(data) != "12345" {
				err = errors.New("another file")
			}
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.Is(err, want) {
				t.Errorf("%s: %v; want %v", name, err, want)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: waits", name)
		}
	}
	if _, err := ReadBelow(dir, at("f"), 4); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
}
