package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/hoplab/hoplab/internal/carried"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/source/synth"
)

// measuredApp returns the command line of the app that stands in for every
// image: built from the checkout where this hoplab comes from one, else this
// program itself, which carries it.
func measuredApp(ctx context.Context, progress io.Writer) ([]string, error) {
	r, err := repo.Find()
	if errors.Is(err, repo.ErrNoCheckout) {
		self, err := os.Executable()
		return []string{self, appCommand}, err
	}
	if err != nil {
		return nil, err
	}
	path, err := r.BuildService(ctx, progress)
	return []string{path}, err
}

// loadGenerator returns k6 with the extension: the one at path, if given; else
// built from the checkout; else the one beside this program, as in a release;
// else built by the go command from the release of the extension that belongs
// to this program.
func loadGenerator(ctx context.Context, path string, progress io.Writer) (k6.Binary, error) {
	if path != "" {
		return k6.Check(ctx, path)
	}
	r, err := repo.Find()
	switch {
	case err == nil:
		return k6.Build(ctx, r, progress)
	case !errors.Is(err, repo.ErrNoCheckout):
		return k6.Binary{}, err
	}
	if path := k6.Released(); path != "" {
		return k6.Check(ctx, path)
	}
	return k6.Install(ctx, readVersion().Hoplab, progress)
}

// runElsewhere runs this program again where the fabric needs it to run, if that
// is elsewhere: then err is how it ended there, and nothing is left to do here.
// Where it cannot, elsewhere is true as well.
func runElsewhere(fabric string) (elsewhere bool, err error) {
	code, done, err := lab.Enter(fabric)
	return done || err != nil, errors.Join(err, answer(fail.Code(code)))
}

// ownTemplates returns the cloud assembly of this repository's own stacks with
// both arms: synthesized from the checkout, else what this program carries.
func ownTemplates(ctx context.Context, progress io.Writer) (synth.Assembly, error) {
	r, err := repo.Find()
	if errors.Is(err, repo.ErrNoCheckout) {
		dir, err := carried.Templates(carried.Both)
		return synth.Assembly{Dir: dir, Source: "the templates that hoplab carries, with -c arms=both"}, err
	}
	if err != nil {
		return synth.Assembly{}, err
	}
	return synth.Synth(ctx, r.Root, map[string]string{"arms": "both"}, progress)
}
