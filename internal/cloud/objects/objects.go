// Package objects keeps the buckets of the local account in memory and serves
// them in S3's protocol, by gofakes3.
package objects

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// MaxBytes bounds what all buckets hold together, uploads in parts included.
// The assets of hoplab's own stacks take half a megabyte, the samples of a
// standard run a quarter.
const MaxBytes = 48 << 20

// Store is the buckets of an account. Its methods are safe for concurrent use.
type Store struct {
	backend *s3mem.Backend
	s3      http.Handler

	mu     sync.Mutex
	parts  map[string]int64 // of uploads in parts, by their ids
	coming int64            // of requests under way
}

// New makes a store without buckets.
func New() *Store {
	b := s3mem.New()
	return &Store{backend: b, s3: gofakes3.New(b, gofakes3.WithTimeSkewLimit(0)).Server(), parts: map[string]int64{}}
}

// Make makes a bucket.
func (s *Store) Make(bucket string) error {
	err := s.backend.CreateBucket(bucket)
	if gofakes3.HasErrorCode(err, gofakes3.ErrBucketAlreadyExists) {
		return fmt.Errorf("%s already exists", bucket)
	}
	return err
}

// Remove removes a bucket, which must be empty.
func (s *Store) Remove(bucket string) error {
	err := s.backend.DeleteBucket(bucket)
	switch {
	case gofakes3.HasErrorCode(err, gofakes3.ErrBucketNotEmpty):
		return fmt.Errorf("%s (Service: Amazon S3; Status Code: 409; Error Code: BucketNotEmpty; Bucket: %s)", notEmpty, bucket)
	case gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchBucket):
		return nil // somebody has deleted it already
	}
	return err
}

// notEmpty is how S3 words it.
const notEmpty = "The bucket you tried to delete is not empty"

// Empty deletes every object of a bucket. One that is not there is empty.
func (s *Store) Empty(bucket string) error {
	keys, err := s.keys(bucket)
	if err != nil || len(keys) == 0 {
		return err
	}
	_, err = s.backend.DeleteMulti(bucket, keys...)
	return err
}

func (s *Store) keys(bucket string) (keys []string, err error) {
	list, err := s.backend.ListBucket(bucket, nil, gofakes3.ListBucketPage{})
	if gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchBucket) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, c := range list.Contents {
		keys = append(keys, c.Key)
	}
	return keys, nil
}

// Get reads an object of at most so many bytes.
func (s *Store) Get(bucket, key string, most int64) ([]byte, error) {
	o, err := s.backend.GetObject(bucket, key, nil)
	if err != nil {
		return nil, fmt.Errorf("s3://%s/%s: %w", bucket, key, err)
	}
	defer o.Contents.Close()
	if o.Size > most {
		return nil, fmt.Errorf("s3://%s/%s has %d bytes; at most %d were expected", bucket, key, o.Size, most)
	}
	return io.ReadAll(o.Contents)
}

// size is how many bytes the buckets hold.
func (s *Store) size() (n int64, err error) {
	buckets, err := s.backend.ListBuckets()
	if err != nil {
		return 0, err
	}
	for _, b := range buckets {
		list, err := s.backend.ListBucket(b.Name, nil, gofakes3.ListBucketPage{})
		if err != nil {
			return 0, err
		}
		for _, c := range list.Contents {
			n += c.Size
		}
	}
	return n, nil
}

var errFull = errors.New("full")

// reserve takes room for a request's body; release gives it back, when the
// object counts itself.
func (s *Store) reserve(r *http.Request) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.size()
	if err != nil {
		return nil, err
	}
	for _, p := range s.parts {
		n += p
	}
	if r.ContentLength > MaxBytes || n+s.coming+r.ContentLength > MaxBytes {
		return nil, errFull
	}
	s.coming += r.ContentLength
	upload := r.URL.Query().Get("uploadId")
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.coming -= r.ContentLength
		switch {
		case upload == "":
		case r.Method == http.MethodPut:
			s.parts[upload] += r.ContentLength
		default: // completed or given up
			delete(s.parts, upload)
		}
	}, nil
}

// ServeHTTP answers a request to S3.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, asked := r.URL.Query()["encryption"]; asked && r.Method == http.MethodGet {
		s.encryption(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if r.ContentLength < 0 {
			refuse(w, http.StatusLengthRequired, "MissingContentLength", "hoplab cloud wants the length of an upload")
			return
		}
		release, err := s.reserve(r)
		if err != nil {
			refuse(w, http.StatusBadRequest, "EntityTooLarge", fmt.Sprintf("hoplab cloud keeps at most %d bytes of objects", int64(MaxBytes)))
			return
		}
		defer release()
	}
	s.s3.ServeHTTP(w, r)
}

// encryption answers GetBucketEncryption, which gofakes3 does not know, as a
// bucket has it that nobody configured.
func (s *Store) encryption(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if ok, err := s.backend.BucketExists(name); err != nil || !ok {
		refuse(w, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(w, `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>`+
		`<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: code, Message: message})
}
