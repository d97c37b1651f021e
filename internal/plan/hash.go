package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Canonical is the plan as JSON on one line: fields in the order of the type,
// no HTML escapes, numbers in Go's shortest form. Equal plans give equal bytes.
// It fails only for numbers that JSON cannot hold, which Validate refuses.
func (p *Plan) Canonical() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Hash identifies the plan: the first 16 hexadecimal digits of the SHA-256 of
// Canonical. Results merge, and a run resumes, only under the same hash. It is
// "" for a plan that Validate refuses because JSON cannot hold it.
func (p *Plan) Hash() string {
	c, err := p.Canonical()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(c)
	return hex.EncodeToString(sum[:8])
}
