package synth

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/printable"
)

// maxConfig bounds a cdk.json, in bytes.
const maxConfig = 4 << 20

// Command returns the "app" command of dir/cdk.json, which App would run.
func Command(dir string) (string, error) {
	path := filepath.Join(dir, "cdk.json")
	data, err := bounded.Read(path, maxConfig)
	if err != nil {
		return "", fail.Newf(fail.Usage, "give a directory with a cdk.json", "cannot read the CDK app: %w", err)
	}
	var conf struct {
		App string `json:"app"`
	}
	if err := json.Unmarshal(data, &conf); err != nil {
		return "", fail.Newf(fail.Usage, "mend cdk.json", "reading %s: %w", path, err)
	}
	if conf.App == "" {
		return "", fail.Newf(fail.Usage, "give the cloud assembly that cdk synth wrote instead", "%s names no app", path)
	}
	return conf.App, nil
}

// App synthesizes anybody's CDK app, in any language: it runs the "app"
// command of dir/cdk.json as the CDK command line does, with the context
// values on top, and returns the cloud assembly in a temporary directory that
// clean removes. It runs code from dir with the user's rights, and tells
// progress the command before; whether dir is trusted is for the caller to ask.
func App(ctx context.Context, dir string, values map[string]string, progress io.Writer) (out string, clean func(), err error) {
	clean = func() {}
	command, err := Command(dir)
	if err != nil {
		return "", clean, err
	}
	tmp, err := os.MkdirTemp("", "hoplab-synth-*")
	if err != nil {
		return "", clean, fail.Newf(fail.Environment, "make the temporary directory writable", "cannot synthesize: %w", err)
	}
	clean = func() { _ = os.RemoveAll(tmp) }
	context, err := appContext(dir, values)
	if err != nil {
		return "", clean, err
	}
	printable.Fprintf(progress, "synthesizing the CDK app in %q: running its command %q\n", dir, command)
	env := append([]string{"CDK_OUTDIR=" + tmp, "CDK_CONTEXT_JSON=" + context}, quietJSII...)
	if msg, err := capture(ctx, dir, env, "sh", "-c", command); err != nil {
		return "", clean, fail.Newf(fail.Usage, "run cdk synth there to see the whole message", "the CDK app in %s failed: %w: %s", dir, err, msg)
	}
	if _, err := os.Stat(filepath.Join(tmp, "manifest.json")); err != nil {
		return "", clean, fail.Newf(fail.Usage, "run cdk synth there and give its output directory", "the CDK app in %s wrote no cloud assembly", dir)
	}
	return tmp, clean, nil
}

// quietJSII keeps jsii from warning about the Node version on every run.
var quietJSII = []string{"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=18,20,21,23", "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION=1"}
