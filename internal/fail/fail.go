// Package fail is hoplab's one error type: an error that knows its exit code
// and the next step. Packages return it where they know better than the
// command line what the user can do; everything else is an ordinary error.
package fail

import (
	"errors"
	"fmt"
)

// Code is a process exit code. The values are a published interface.
type Code int

// The exit codes of every hoplab command.
const (
	OK          Code = 0 // fine
	Finding     Code = 1 // a finding of severity error, or a budget exceeded
	Usage       Code = 2 // bad usage or unreadable input
	CannotTell  Code = 3 // the data cannot answer the question
	Refused     Code = 4 // the evidence contradicts the plan
	Environment Code = 5 // the machine failed: no k6, no port, no Node, no disk
)

// Error is an error with an exit code and a hint at the next step.
type Error struct {
	Code Code
	Err  error
	Hint string // the next step, in lower case and without a full stop; may be empty
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Newf returns an Error with the given code and hint; format and args are as for fmt.Errorf.
func Newf(code Code, hint, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}

// CodeOf returns the exit code that err carries: OK for nil, Environment when it carries none.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Environment
}

// HintOf returns the hint that err carries, or "".
func HintOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
