// Package github keeps one comment on a pull request: written the first time,
// replaced afterwards, never a second one.
package github

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
)

// Limits of GitHub's API and of what is read of it.
const (
	// MaxComment is the most characters that GitHub takes in a comment.
	MaxComment = 65536
	perPage    = 100 // the most that GitHub gives at once
	maxPages   = 100
	maxAnswer  = 16 << 20 // bytes of one answer
	timeout    = 30 * time.Second
)

// PullRequest is where the comment goes.
type PullRequest struct {
	API        string // https://api.github.com, without a slash at the end
	Repository string // owner/name
	Number     int
	Token      string // may write comments there
}

var repository = regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`)

// FromEnv takes the pull request from the environment of a workflow:
// GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_EVENT_PATH and GITHUB_TOKEN. Errors
// carry fail.Usage.
func FromEnv(getenv func(string) string) (PullRequest, error) {
	api := strings.TrimRight(getenv("GITHUB_API_URL"), "/")
	p := PullRequest{API: api, Repository: getenv("GITHUB_REPOSITORY"), Token: getenv("GITHUB_TOKEN")}
	const hint = "run it in a workflow of GitHub on a pull request, with GITHUB_TOKEN in its environment"
	if u, err := url.Parse(p.API); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return p, fail.Newf(fail.Usage, hint, "GITHUB_API_URL %q: expected a URL", p.API)
	}
	if !repository.MatchString(p.Repository) {
		return p, fail.Newf(fail.Usage, hint, "GITHUB_REPOSITORY %q: expected OWNER/NAME", p.Repository)
	}
	if p.Token == "" {
		return p, fail.Newf(fail.Usage, hint, "GITHUB_TOKEN is not set")
	}
	data, err := os.ReadFile(getenv("GITHUB_EVENT_PATH"))
	if err != nil {
		return p, fail.Newf(fail.Usage, hint, "GITHUB_EVENT_PATH: %w", err)
	}
	var event struct {
		PullRequest struct {
			Number int `json:"number"`
		} `json:"pull_request"`
	}
	if err := json.Unmarshal(data, &event); err != nil || event.PullRequest.Number <= 0 {
		return p, fail.Newf(fail.Usage, hint, "GITHUB_EVENT_PATH: the event is none of a pull request")
	}
	p.Number = event.PullRequest.Number
	return p, nil
}

// Comment is one of GitHub's.
type Comment struct {
	ID   int64  `json:"id"`
	Body string `json:"body"`
	URL  string `json:"html_url"`
}

// Mark is the first line of the comment of a name, which is not shown.
func Mark(name string) string { return "<!-- hoplab: " + name + " -->" }

// Keep makes body the comment of that name: it replaces the one that is there,
// else writes one. A body that is too long is cut, and says so. Errors carry
// fail.Environment.
func (p PullRequest) Keep(ctx context.Context, name, body string) (c Comment, replaced bool, err error) {
	text := cut(Mark(name) + "\n" + body)
	was, err := p.find(ctx, Mark(name))
	if err != nil {
		return Comment{}, false, err
	}
	if was != nil {
		err = p.ask(ctx, http.MethodPatch, fmt.Sprintf("/issues/comments/%d", was.ID), map[string]string{"body": text}, &c)
		return c, true, err
	}
	err = p.ask(ctx, http.MethodPost, fmt.Sprintf("/issues/%d/comments", p.Number), map[string]string{"body": text}, &c)
	return c, false, err
}

func cut(text string) string {
	const more = "\n\n… cut: the whole is in the log of the check.\n"
	r := []rune(text)
	if len(r) <= MaxComment {
		return text
	}
	return string(r[:MaxComment-len([]rune(more))]) + more
}

// find returns the comment that begins with the mark, or nil.
func (p PullRequest) find(ctx context.Context, mark string) (*Comment, error) {
	for page := 1; page <= maxPages; page++ {
		var list []Comment
		path := fmt.Sprintf("/issues/%d/comments?per_page=%d&page=%d", p.Number, perPage, page)
		if err := p.ask(ctx, http.MethodGet, path, nil, &list); err != nil {
			return nil, err
		}
		for i := range list {
			if strings.HasPrefix(list[i].Body, mark) {
				return &list[i], nil
			}
		}
		if len(list) < perPage {
			return nil, nil
		}
	}
	return nil, fail.Newf(fail.Environment, "leave the comment out", "the pull request has more than %d comments", perPage*maxPages)
}

func (p PullRequest) ask(ctx context.Context, method, path string, send, into any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var body io.Reader
	if send != nil {
		data, err := json.Marshal(send)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, p.API+"/repos/"+p.Repository+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+p.Token)
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("X-Github-Api-Version", "2022-11-28")
	r.Header.Set("User-Agent", "hoplab")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fail.Newf(fail.Environment, "", "GitHub's API: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fail.Newf(fail.Environment, "", "GitHub's API: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		var said struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(data, &said) // what is no JSON says nothing more than the status
		hint := "see that the workflow has the permission pull-requests: write"
		if resp.StatusCode == http.StatusForbidden {
			hint += "; a pull request from a fork has it not"
		}
		return fail.Newf(fail.Environment, hint, "GitHub's API: %s: %s", resp.Status, said.Message)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fail.Newf(fail.Environment, "", "GitHub's API: %w", err)
	}
	return nil
}
