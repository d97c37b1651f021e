package stack

import "fmt"

// Error is a refusal of CloudFormation.
type Error struct {
	Code    string // ValidationError, ChangeSetNotFound, AlreadyExistsException
	Message string
}

func (e *Error) Error() string { return e.Message }

// Codes of an Error.
const (
	CodeValidation = "ValidationError"
	CodeNoChange   = "ChangeSetNotFound"
	CodeExists     = "AlreadyExistsException"
	CodeInProgress = "InvalidChangeSetStatus"
)

func invalid(format string, args ...any) error {
	return &Error{Code: CodeValidation, Message: fmt.Sprintf(format, args...)}
}
