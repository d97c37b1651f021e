package awsrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// fetchers is how many sample files are downloaded at once.
const fetchers = 8

// counts is what the samples of one replicate say of the requests, warm-up
// included, by arm of the plan.
type counts struct {
	sent, answered []int64
	aborted        int64 // cut off at the end; of which arm is not recorded
	start, end     int64 // wall clock of the generators, ns
}

// until is the end of the periods in which the requests can have been counted:
// the one that the last request fell into, and one more for metrics that
// are counted late.
func (c *counts) until(period time.Duration) time.Time {
	return time.Unix(0, c.end).Truncate(period).Add(2 * period)
}

func (c *counts) add(o *counts) {
	if c.sent == nil {
		*c = *o
		return
	}
	for i := range c.sent {
		c.sent[i] += o.sent[i]
		c.answered[i] += o.answered[i]
	}
	c.aborted += o.aborted
	c.start, c.end = min(c.start, o.start), max(c.end, o.end)
}

func (r *runner) folder(replicate int) string {
	return fmt.Sprintf("%s%s/%02d/", r.load.prefix, r.dir.Name(), replicate)
}

// listed returns the objects of a replicate by key, with their entity tags.
func (r *runner) listed(ctx context.Context, replicate int) (map[string]string, error) {
	out := map[string]string{}
	pages := s3.NewListObjectsV2Paginator(r.s3, &s3.ListObjectsV2Input{Bucket: aws.String(r.load.bucket),
		Prefix: aws.String(r.folder(replicate))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, r.explain("listing s3://"+r.load.bucket+"/"+r.folder(replicate), err)
		}
		for _, o := range page.Contents {
			out[aws.ToString(o.Key)] = aws.ToString(o.ETag)
		}
	}
	return out, nil
}

// fetch downloads a replicate's sample files and verifies each: its trailer,
// its plan, its place. before is what lay there when the replicate began.
func (r *runner) fetch(ctx context.Context, rep run.Replicate, loads []samplefile.Load, before map[string]string) (*counts, error) {
	now, err := r.listed(ctx, rep.Index)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		total counts
		first error
	)
	slots := make(chan struct{}, fetchers)
	for _, l := range loads {
		path := rep.SamplesPath(l.Generator, l.Generators)
		key := r.folder(rep.Index) + filepath.Base(path)
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			var c *counts
			var err error
			switch tag, there := now[key]; {
			case !there:
				err = fail.Newf(fail.Environment, r.load.seeLog(), "there is no s3://%s/%s, although its task ended well", r.load.bucket, key)
			case tag == before[key]:
				err = fail.Newf(fail.Environment, r.load.seeLog(), "s3://%s/%s is still that of an earlier attempt", r.load.bucket, key)
			default:
				c, err = r.fetchOne(ctx, key, path, l)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if first == nil {
					first = err
				}
				cancel()
				return
			}
			total.add(c)
		}()
	}
	wg.Wait()
	return &total, first
}

func (r *runner) fetchOne(ctx context.Context, key, path string, l samplefile.Load) (*counts, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	where := "s3://" + r.load.bucket + "/" + key
	out, err := r.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(r.load.bucket), Key: aws.String(key)})
	if err != nil {
		return nil, r.explain("fetching "+where, err)
	}
	defer out.Body.Close()
	partial := path + ".part" // a name that no reader of the run directory takes for samples
	f, err := os.Create(partial)
	if err != nil {
		return nil, fail.Newf(fail.Environment, "free some space there", "cannot write %s: %w", partial, err)
	}
	_, err = io.Copy(f, out.Body)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fail.Newf(fail.Environment, "try again", "fetching %s: %w", where, err)
	}
	c, err := verify(partial, l)
	if err != nil {
		return nil, fail.Newf(fail.Environment, r.load.seeLog()+", for a cut upload", "%s: %w", where, err)
	}
	return c, os.Rename(partial, path)
}

// verify reads a sample file to its end and counts what is in it.
func verify(path string, l samplefile.Load) (*counts, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in, err := samplefile.NewReader(f)
	if err != nil {
		return nil, err
	}
	got := in.Header().Load
	if got.PlanHash != l.PlanHash || got.Run != l.Run || got.Replicate != l.Replicate || got.Generator != l.Generator || got.Generators != l.Generators {
		return nil, fmt.Errorf("it belongs to run %s, plan %s, replicate %d, generator %d of %d; expected %s, %s, %d, %d of %d",
			got.Run, got.PlanHash, got.Replicate, got.Generator, got.Generators, l.Run, l.PlanHash, l.Replicate, l.Generator, l.Generators)
	}
	byClass := make([]int64, 0, 16)
	var rec samplefile.Record
	for err = in.Next(&rec); err == nil; err = in.Next(&rec) {
		for rec.Class >= len(byClass) {
			byClass = append(byClass, 0)
		}
		byClass[rec.Class]++
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	t := in.Trailer()
	if t.Interrupted {
		return nil, errors.New("the load generator was stopped before its end")
	}
	c := &counts{sent: make([]int64, len(l.Arms)), answered: make([]int64, len(l.Arms)), aborted: t.Aborted,
		start: in.Header().StartUnixNs, end: t.EndUnixNs}
	for k, n := range byClass {
		arm, o := in.Class(k)
		c.sent[arm] += n
		if o.Error == "" && o.Status == 200 {
			c.answered[arm] += n
		}
	}
	return c, nil
}
