package objects

import (
	"bytes"
	"fmt"
)

// Put writes an object of the account's own, such as a map's results, within the
// same bound as a client's.
func (s *Store) Put(bucket, key string, data []byte) error {
	release, err := s.reserve(held{bytes: int64(len(data)), entries: 1})
	if err != nil {
		return fmt.Errorf("s3://%s/%s: %w", bucket, key, err)
	}
	defer release()
	if _, err := s.backend.PutObject(bucket, key, map[string]string{}, bytes.NewReader(data), int64(len(data)), nil); err != nil {
		return fmt.Errorf("s3://%s/%s: %w", bucket, key, err)
	}
	return nil
}
