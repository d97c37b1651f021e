package objects_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/cloud/objects"
)

func send(t *testing.T, s *objects.Store, method, path string, size int64) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+path, io.LimitReader(zeros{}, size))
	r.ContentLength = size
	r.Header.Set("Content-Length", strconv.FormatInt(size, 10)) // a real request has it
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestBuckets(t *testing.T) {
	s := objects.New()
	if err := s.Make("b-one"); err != nil {
		t.Fatal(err)
	}
	if err := s.Make("b-one"); err == nil || err.Error() != "b-one already exists" {
		t.Errorf("made twice: %v", err)
	}
	if code, body := send(t, s, http.MethodPut, "/b-one/key", 10); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if got, err := s.Get("b-one", "key", 10); err != nil || string(got) != "0000000000" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.Get("b-one", "key", 9); err == nil {
		t.Error("an object over the limit is read")
	}
	if code, body := send(t, s, http.MethodGet, "/b-one?encryption", 0); code != 200 || !strings.Contains(body, "AES256") {
		t.Errorf("GetBucketEncryption: %d %s", code, body)
	}
	if code, body := send(t, s, http.MethodGet, "/b-two?encryption", 0); code != 404 || !strings.Contains(body, "NoSuchBucket") {
		t.Errorf("GetBucketEncryption of none: %d %s", code, body)
	}
	if err := s.Remove("b-one"); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a bucket with an object is removed: %v", err)
	}
	if err := s.Empty("b-one"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove("b-one"); err != nil {
		t.Error(err)
	}
	if err := s.Empty("b-one"); err != nil {
		t.Errorf("emptying a bucket that is gone: %v", err)
	}
}

// TestFull: what all buckets hold together is bounded, uploads in parts included,
// and deleting makes room again.
func TestFull(t *testing.T) {
	s := objects.New()
	if err := s.Make("b-one"); err != nil {
		t.Fatal(err)
	}
	const most = objects.MaxBytes / 2
	put := func(path string, size int64) bool {
		code, body := send(t, s, http.MethodPut, path, size)
		if code != 200 && !strings.Contains(body, "keeps at most") {
			t.Fatalf("%s: %d %s", path, code, body)
		}
		return code == 200
	}
	if !put("/b-one/a", most) || put("/b-one/b", most+1) || !put("/b-one/b", most/2) {
		t.Fatal("the bound is not that of all objects together")
	}
	if code, body := send(t, s, http.MethodPut, "/b-one/c", -1); code != http.StatusLengthRequired {
		t.Errorf("an upload without a length: %d %s", code, body)
	}
	_, body := send(t, s, http.MethodPost, "/b-one/c?uploads", 0)
	_, rest, ok := strings.Cut(body, "<UploadId>")
	id, _, _ := strings.Cut(rest, "</UploadId>")
	if !ok {
		t.Fatalf("no upload in parts: %s", body)
	}
	if !put("/b-one/c?partNumber=1&uploadId="+id, most/2) || put("/b-one/c?partNumber=2&uploadId="+id, 1) {
		t.Error("parts do not count")
	}
	send(t, s, http.MethodDelete, "/b-one/c?uploadId="+id, 0)
	if !put("/b-one/d", most/2) {
		t.Error("an upload that was given up still counts")
	}
}

// TestEntriesAreBounded: what takes no bytes takes room all the same.
func TestEntriesAreBounded(t *testing.T) {
	for what, path := range map[string]string{
		"objects": "/b-one/k%d", "buckets": "/b-%d", "uploads in parts": "/b-one/k%d?uploads", "parts": "",
	} {
		s := objects.New()
		if err := s.Make("b-one"); err != nil {
			t.Fatal(err)
		}
		method, size := http.MethodPut, int64(0)
		switch what {
		case "uploads in parts":
			method = http.MethodPost
		case "parts":
			_, body := send(t, s, http.MethodPost, "/b-one/k?uploads", 0)
			_, rest, _ := strings.Cut(body, "<UploadId>")
			id, _, _ := strings.Cut(rest, "</UploadId>")
			path, size = "/b-one/k?partNumber=1&x=%d&uploadId="+id, 1
		}
		n, code, body := 0, 200, ""
		for ; n <= objects.MaxEntries && code == 200; n++ {
			code, body = send(t, s, method, fmt.Sprintf(path, n), size)
		}
		if code != 400 || !strings.Contains(body, "keeps at most") || n < objects.MaxEntries-2 {
			t.Errorf("%s: %d of them, then %d %s", what, n, code, body)
		}
		if err := s.Put("b-one", "own", nil); err == nil {
			t.Errorf("%s: full, and one more fits", what)
		}
		send(t, s, http.MethodDelete, "/b-one/k1", 0)
		if code, body := send(t, s, http.MethodPut, "/b-one/another", 0); what == "objects" && code != 200 {
			t.Errorf("%s: an object was deleted and no other fits: %d %s", what, code, body)
		}
	}
}

// TestNothingGrowsUnasked: only an upload that was begun is remembered, and a
// version or a copy, whose size no request says, is not kept.
func TestNothingGrowsUnasked(t *testing.T) {
	s := objects.New()
	if err := s.Make("b-one"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if code, _ := send(t, s, http.MethodPut, fmt.Sprintf("/b-one/k?partNumber=1&uploadId=9%d", i), objects.MaxBytes); code != 404 {
			t.Errorf("a part of no upload: %d", code)
		}
	}
	if code, body := send(t, s, http.MethodPut, "/b-one?versioning", 10); code != http.StatusNotImplemented {
		t.Errorf("versions: %d %s", code, body)
	}
	if code, body := send(t, s, http.MethodPut, "/b-one/a", 10); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	r := httptest.NewRequest(http.MethodPut, "http://localhost/b-one/copy", nil)
	r.Header.Set("X-Amz-Copy-Source", "/b-one/a")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusNotImplemented {
		t.Errorf("a copy: %d %s", w.Code, w.Body)
	}
}
