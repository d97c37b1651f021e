// Package carried is what travels inside the command for who has no clone: the
// templates of the repository's own stacks.
package carried

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/repo"
	golden "github.com/hoplab/hoplab/stacks/testdata"
)

// Both is the variant that has an arm with and one without the agent.
const Both = "both"

// Templates returns a folder of the user's cache with a variant of the golden
// templates, a cloud assembly. Errors carry fail.Environment.
func Templates(variant string) (string, error) {
	files, err := fs.Sub(golden.Files, "golden/"+variant)
	if err != nil {
		return "", err
	}
	return unpacked(files, variant)
}

// unpacked returns a folder of the cache that holds the files and nothing else,
// named by their content. One that holds something else is written anew.
func unpacked(files fs.FS, name string) (string, error) {
	cache, err := repo.CacheDir()
	if err != nil {
		return "", err
	}
	digest, err := contentOf(files)
	if err != nil {
		return "", err
	}
	cannot := func(err error) error {
		return fail.Newf(fail.Environment, "make the cache directory writable, or set XDG_CACHE_HOME", "keeping the templates: %w", err)
	}
	dir := filepath.Join(cache, "templates-"+name+"-"+digest)
	whole := func() bool {
		there, err := contentOf(os.DirFS(dir))
		return err == nil && there == digest
	}
	if whole() {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(cache, "templates-*")
	if err != nil {
		return "", cannot(err)
	}
	defer os.RemoveAll(tmp)
	if err := os.CopyFS(filepath.Join(tmp, name), files); err != nil {
		return "", cannot(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", cannot(err)
	}
	if err := os.Rename(filepath.Join(tmp, name), dir); err != nil && !whole() { // another process may be faster
		return "", cannot(err)
	}
	return dir, nil
}

// contentOf names the files of a flat folder by what they hold.
func contentOf(files fs.FS) (string, error) {
	h := sha256.New()
	names, err := fs.Glob(files, "*")
	if err != nil {
		return "", err
	}
	for _, n := range names {
		data, err := fs.ReadFile(files, n)
		if err != nil {
			return "", err
		}
		h.Write([]byte(n + "\x00"))
		h.Write(data)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}
