// Package learn teaches the port semantics of ECS Service Connect: lessons
// that tell a story, ask for a prediction, run a deployment in the lab and
// show what happened, hop by hop.
//
// A lesson's text explains; every figure, status, state, log line and path in
// its output comes from the run, from reach's prediction or from a check of
// the deployment's template.
package learn

import (
	"slices"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/scenario"
)

// Lesson teaches one thing.
type Lesson struct {
	ID    string
	Title string
	// Story says what there is, for somebody who has never seen Service
	// Connect. One string is one paragraph.
	Story    []string
	Question string
	// Choices are the predictions to choose from; exactly one of them holds
	// in what the run shows.
	Choices []Choice
	Acts    []Act
	// Why explains what was seen, Remember is what to take away.
	Why      []string
	Remember []string
}

// Choice is a possible prediction.
type Choice struct {
	Text string
	// Holds says whether a run bears it out.
	Holds func(*Record) bool
}

// Act is one deployment and what is done with it.
type Act struct {
	Title  string
	Config scenario.Config
	// App, if set, says what the app does, where its environment does not
	// tell: a proxy in front of a dead app, a database that is down.
	App *reach.App
	// Scale is how many times faster than real the lab's timers run.
	Scale float64
	Steps []Step
}

// All returns the lessons in the order in which to take them.
func All() []Lesson {
	return slices.Concat(portLessons(), callerLessons(), healthLessons(), timeLessons())
}

// Find returns the lesson of that id.
func Find(id string) (Lesson, bool) {
	all := All()
	i := slices.IndexFunc(all, func(l Lesson) bool { return l.ID == id })
	if i < 0 {
		return Lesson{}, false
	}
	return all[i], true
}
