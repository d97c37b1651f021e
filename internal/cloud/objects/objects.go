// Package objects keeps the buckets of the local account in memory and serves
// them in S3's protocol, by gofakes3.
package objects

import (
	"encoding/xml"
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

// MaxEntries bounds the buckets, objects and parts of uploads together: each
// takes up to 3 KB with its name and metadata, however small it is.
const MaxEntries = 2000

// Store is the buckets of an account. Its methods are safe for concurrent use.
type Store struct {
	backend *s3mem.Backend
	s3      http.Handler

	mu      sync.Mutex
	uploads map[string]held // in parts, by their ids: begun and not completed
	coming  held            // by requests under way
}

// held is what is kept, or is about to be.
type held struct {
	bytes   int64
	entries int
}

func (h *held) add(o held) { h.bytes, h.entries = h.bytes+o.bytes, h.entries+o.entries }

func (h held) minus() held { return held{-h.bytes, -h.entries} }

// New makes a store without buckets.
func New() *Store {
	b := s3mem.New()
	return &Store{backend: b, s3: gofakes3.New(b, gofakes3.WithTimeSkewLimit(0)).Server(), uploads: map[string]held{}}
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

// held is what the buckets and the uploads hold and what is coming. s.mu is locked.
func (s *Store) held() (h held, err error) {
	h = s.coming
	for _, u := range s.uploads {
		h.add(u)
	}
	buckets, err := s.backend.ListBuckets()
	if err != nil {
		return held{}, err
	}
	for _, b := range buckets {
		list, err := s.backend.ListBucket(b.Name, nil, gofakes3.ListBucketPage{})
		if err != nil {
			return held{}, err
		}
		h.entries += 1 + len(list.Contents)
		for _, c := range list.Contents {
			h.bytes += c.Size
		}
	}
	return h, nil
}

var errFull = fmt.Errorf("hoplab cloud keeps at most %d bytes and %d buckets, objects and parts", int64(MaxBytes), MaxEntries)

// reserve takes room for what a request brings; release gives it back, when the
// object counts itself.
func (s *Store) reserve(more held) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := s.held()
	if err != nil {
		return nil, err
	}
	if more.bytes > MaxBytes || h.bytes+more.bytes > MaxBytes || more.entries > 0 && h.entries+more.entries > MaxEntries {
		return nil, errFull
	}
	s.coming.add(more)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.coming.add(more.minus())
	}, nil
}

// ServeHTTP answers a request to S3.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, asked := r.URL.Query()["encryption"]; asked && r.Method == http.MethodGet {
		s.encryption(w, r)
		return
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		s.s3.ServeHTTP(w, r)
		return
	}
	if r.ContentLength < 0 {
		refuse(w, http.StatusLengthRequired, "MissingContentLength", "hoplab cloud wants the length of an upload")
		return
	}
	query := r.URL.Query()
	if _, versions := query["versioning"]; versions || r.Header.Get("X-Amz-Copy-Source") != "" {
		refuse(w, http.StatusNotImplemented, "NotImplemented", "hoplab cloud keeps no versions and copies no objects")
		return
	}
	brings := held{bytes: r.ContentLength}
	_, begins := query["uploads"]
	if begins || r.Method == http.MethodPut {
		brings.entries = 1
	}
	release, err := s.reserve(brings)
	if err != nil {
		refuse(w, http.StatusBadRequest, "EntityTooLarge", err.Error())
		return
	}
	defer release()
	answer := &answered{ResponseWriter: w}
	s.s3.ServeHTTP(answer, r)
	s.count(r.Method, query.Get("uploadId"), answer, brings)
}

// count keeps account of an upload in parts, as far as it was answered well. id
// is that of the request, "" when it begins one or has to do with none.
func (s *Store) count(method, id string, a *answered, brings held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	so, known := s.uploads[id]
	switch {
	case a.failed:
	case id == "":
		if begun := a.begun(); begun != "" {
			s.uploads[begun] = brings
		}
	case known && method == http.MethodPut:
		so.add(brings)
		s.uploads[id] = so
	default: // completed or given up
		delete(s.uploads, id)
	}
}

// answered notes how a request is answered.
type answered struct {
	http.ResponseWriter
	failed bool
	text   []byte // of which maxNoted bytes at most
}

// maxNoted is more than the answer to who begins an upload has.
const maxNoted = 16 << 10

func (a *answered) WriteHeader(status int) {
	a.failed = a.failed || status >= 400
	a.ResponseWriter.WriteHeader(status)
}

func (a *answered) Write(p []byte) (int, error) {
	a.text = append(a.text, p[:min(len(p), maxNoted-len(a.text))]...)
	return a.ResponseWriter.Write(p)
}

// begun is the id of the upload that the answer begins, "" if it begins none.
func (a *answered) begun() string {
	var begun struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadID string   `xml:"UploadId"`
	}
	if xml.Unmarshal(a.text, &begun) != nil {
		return ""
	}
	return begun.UploadID
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
