package labtest

import (
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/lab"
)

// Told tells whether one of a service's events says the text. Where it stands
// among them is not asked: what follows an event comes when it comes.
func Told(events []lab.Event, text string) bool {
	return slices.ContainsFunc(events, func(e lab.Event) bool { return strings.Contains(e.Text, text) })
}
