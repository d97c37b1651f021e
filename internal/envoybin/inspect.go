package envoybin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// inspect asks the program for its version and takes its digest.
func (f *finder) inspect(ctx context.Context, path, from string) (Binary, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Binary{}, err
	}
	version, err := askVersion(ctx, abs)
	if err != nil {
		return Binary{}, err
	}
	digest, err := digestOf(abs)
	if err != nil {
		return Binary{}, err
	}
	return Binary{Path: abs, Version: version, Digest: digest, From: from, Pinned: f.pins.pinned(version, f.platform, digest)}, nil
}

// versionLine is how Envoy tells its version: commit, version, state of the
// sources, kind of build, TLS library.
var versionLine = regexp.MustCompile(`version: [^/\s]+/(\d+\.\d+\.\d+[^/\s]*)/`)

// askVersion runs the program with --version.
func askVersion(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var out []byte
	var err error
	for range 50 {
		cmd := exec.CommandContext(ctx, path, "--version")
		cmd.WaitDelay = time.Second
		// A file just written is busy as long as a process that another
		// goroutine is starting at the same moment holds it open.
		if out, err = cmd.CombinedOutput(); !errors.Is(err, syscall.ETXTBSY) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("gives its version not within 20 s: %w", ctx.Err())
	}
	if m := versionLine.FindSubmatch(out); m != nil {
		return string(m[1]), nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot run: %w%s", err, after(": ", lastLine(out)))
	}
	return "", fmt.Errorf("is not Envoy: its --version says %q", lastLine(out))
}

// digests remembers the digest of a file that has not changed: a process that
// starts many labs reads a hundred megabytes once.
var digests sync.Map // of fileState to string

type fileState struct {
	path    string
	size    int64
	changed time.Time
}

// digestOf returns the SHA-256 of a file in hexadecimal.
func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	state := fileState{path, info.Size(), info.ModTime()}
	if d, ok := digests.Load(state); ok {
		return d.(string), nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	d := hex.EncodeToString(h.Sum(nil))
	digests.Store(state, d)
	return d, nil
}

func isScript(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	var head [2]byte
	_, err = io.ReadFull(file, head[:])
	return err == nil && string(head[:]) == "#!"
}

// lastLine returns the last line that is not empty, 160 bytes of it at most.
func lastLine(out []byte) string {
	out = bytes.TrimSpace(out)
	if i := bytes.LastIndexByte(out, '\n'); i >= 0 {
		out = bytes.TrimSpace(out[i+1:])
	}
	return fmt.Sprintf("%.160s", out)
}

// after puts a separator before a text that is not empty.
func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}
