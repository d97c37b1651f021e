package objects

import (
	"bytes"
	"fmt"
)

// Put writes an object of the account's own, such as a map's results, within the
// same bound as a client's.
func (s *Store) Put(bucket, key string, data []byte) error {
	s.mu.Lock()
	n, err := s.size()
	full := n+s.coming+int64(len(data)) > MaxBytes
	s.mu.Unlock()
	switch {
	case err != nil:
		return err
	case full:
		return fmt.Errorf("s3://%s/%s: hoplab cloud keeps at most %d bytes of objects", bucket, key, int64(MaxBytes))
	}
	if _, err := s.backend.PutObject(bucket, key, map[string]string{}, bytes.NewReader(data), int64(len(data)), nil); err != nil {
		return fmt.Errorf("s3://%s/%s: %w", bucket, key, err)
	}
	return nil
}
