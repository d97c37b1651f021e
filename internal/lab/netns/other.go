//go:build !linux

package netns

import (
	"encoding/json"
	"runtime"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/fabric"
)

func missing() error {
	return fail.Newf(fail.Environment, "use --fabric loopback", "fabric netns needs Linux; this is %s", runtime.GOOS)
}

// New fails: network namespaces are a facility of Linux.
func New() (fabric.Fabric, error) { return nil, missing() }

// NewNet fails as New does.
func NewNet(json.RawMessage) (fabric.Net, error) { return nil, missing() }

// Enter fails as New does.
func Enter() (code int, entered bool, err error) { return 0, false, missing() }
