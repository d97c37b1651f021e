package cli

import (
	"errors"
	"io"
	"os"
	"sync"
)

// output is standard output that remembers the first error of a write. Its
// methods are safe for concurrent use if the writer's are.
type output struct {
	io.Writer
	mu  sync.Mutex
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.err == nil {
			o.err = err
		}
	}
	return n, err
}

// lost returns a subcommand's error, or, where that is none but an answer, why
// the answer did not get out: a script must not take an exit code for an answer
// whose text it does not have.
func (o *output) lost(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var verdict verdictError
	if o.err != nil && (err == nil || errors.As(err, &verdict)) {
		return o.err
	}
	return err
}

// fileOf returns the file behind a stream, if there is one.
func fileOf(stream any) (*os.File, bool) {
	if o, ok := stream.(*output); ok {
		stream = o.Writer
	}
	f, ok := stream.(*os.File)
	return f, ok
}
