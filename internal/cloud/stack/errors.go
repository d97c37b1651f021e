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
	// CodeUnsupported is of what AWS can do and hoplab cloud cannot.
	CodeUnsupported = "UnsupportedOperation"
)

func invalid(format string, args ...any) error {
	return &Error{Code: CodeValidation, Message: fmt.Sprintf(format, args...)}
}
