package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
)

// digestEnding is what the file with a program's SHA-256 has after the
// program's name. The name itself has the digest of the sources.
const digestEnding = ".sha256"

// checkDir refuses a cache directory in which another user can exchange a program.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	why := ""
	switch st, ok := info.Sys().(*syscall.Stat_t); {
	case !ok:
		why = "has no owner"
	case int(st.Uid) != os.Geteuid():
		why = fmt.Sprintf("belongs to user %d, not to user %d", st.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		why = fmt.Sprintf("has the mode %04o", info.Mode().Perm())
	default:
		return nil
	}
	return fail.Newf(fail.Environment, "set XDG_CACHE_HOME to a folder of your own, or make this one yours alone",
		"the cache directory %s %s: another user could exchange a program in it", dir, why)
}

// checkProgram refuses what cannot be a program of this user: a link, an empty
// file, one that cannot be run, or one that somebody else owns or can write.
func checkProgram(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Mode()&0o100 == 0 || info.Mode()&0o022 != 0 ||
		!ok || int(st.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("%s is no program of this user", path)
	}
	return info, nil
}

// onlyOwn takes from others the right to write a program.
func onlyOwn(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Chmod(path, info.Mode().Perm()&^0o022)
}

// noteDigest writes the digest of the program in built beside path, where the
// program goes.
func noteDigest(built, path string) error {
	digest, err := digestOf(built)
	if err != nil {
		return err
	}
	tmp := built + digestEnding
	if err := os.WriteFile(tmp, []byte(digest+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path+digestEnding)
}

// asBuilt refuses a program that has not the digest that stands beside it.
func asBuilt(path string) error {
	want, err := bounded.Read(path+digestEnding, 200)
	if err != nil {
		return err
	}
	got, err := digestOf(path)
	if err != nil {
		return err
	}
	if got != strings.TrimSpace(string(want)) {
		return fmt.Errorf("%s has been changed since it was built", path)
	}
	return nil
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
