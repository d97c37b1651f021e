package stacks

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/hoplab/hoplab/internal/test/layer"
)

const (
	anARN    = "arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
	aPrivate = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1"
)

// space holds every key with the values that lead to different code; nil
// leaves the key out.
var space = []struct {
	key    string
	values []any
}{
	{"host", []any{nil, HostNginx}},
	{"edge", []any{nil, "public"}},
	{"load", []any{nil, "true"}},
	{"arms", []any{nil, "both"}},
	{"ingressPortOverride", []any{nil, "8080"}},
	{"albEgress", []any{nil, EgressNone, EgressAll}},
	{"healthCheck", []any{nil, albReady, albProxy + "," + containerHTTP, containerSocket, containerProcess, containerCombined}},
	{"certificateArn", []any{nil, anARN}},
	{"domainName", []any{nil, "api.example.com"}},
	{"hostedZoneId", []any{nil, "Z0123456789ABC"}},
	{"httpMode", []any{nil, "forward"}},
	{"ipAddressType", []any{nil, "dualstack"}},
	{"generators", []any{nil, 20.0}},
	{"architecture", []any{nil, "ARM64"}},
	{"appImage", []any{nil, aPrivate}},
}

// TestCombinations walks through all combinations of the space. Each is
// refused with the reason, or accepted; and of the accepted ones so many are
// synthesized that every two values that can stand together did.
func TestCombinations(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	var accepted []keys
	refused := 0
	walk(0, keys{}, func(k keys) {
		_, err := ParseConfig(func(key string) any { return k[key] })
		switch {
		case err == nil:
			accepted = append(accepted, k.clone())
		case !namesKey(err.Error(), k):
			t.Errorf("%v: the refusal names no key that was given: %v", k, err)
		default:
			refused++
		}
	})
	chosen := coverPairs(accepted)
	t.Logf("%d combinations accepted, %d refused, %d synthesized", len(accepted), refused, len(chosen))

	var templates []string
	root := t.TempDir()
	for i, k := range chosen {
		t.Run(k.String(), func(t *testing.T) {
			dir := filepath.Join(root, strconv.Itoa(i))
			synthTo(t, dir, k, addNag)
			found := glob(t, dir, "*.template.json")
			if want := expectedStacks(k); !slices.Equal(stackNames(found), want) {
				t.Errorf("stacks %v, expected %v", stackNames(found), want)
			}
			templates = append(templates, found...)
			checkReports(t, dir, len(found))
			checkQuiet(t, dir)
			for _, path := range found {
				checkInvariants(t, readTemplate(t, path))
			}
		})
	}
	t.Run("schemas", func(t *testing.T) { checkSchemas(t, templates) })
}

// walk calls f with every combination from the i-th key on.
func walk(i int, k keys, f func(keys)) {
	if i == len(space) {
		f(k)
		return
	}
	for _, v := range space[i].values {
		delete(k, space[i].key)
		if v != nil {
			k[space[i].key] = v
		}
		walk(i+1, k, f)
	}
	delete(k, space[i].key)
}

func (k keys) clone() keys {
	c := keys{}
	for key, v := range k {
		c[key] = v
	}
	return c
}

// String lists the keys in the order of the space.
func (k keys) String() string {
	var parts []string
	for _, s := range space {
		if v, ok := k[s.key]; ok {
			parts = append(parts, fmt.Sprintf("%s=%v", s.key, v))
		}
	}
	return strings.Join(parts, " ")
}

// coverPairs chooses combinations until every pair of values that occurs in
// one of them was chosen, each time the one that adds most.
func coverPairs(all []keys) []keys {
	pairs := make([][]string, len(all))
	open := map[string]bool{}
	for i, k := range all {
		pairs[i] = pairsOf(k)
		for _, p := range pairs[i] {
			open[p] = true
		}
	}
	var chosen []keys
	for len(open) > 0 {
		best, most := 0, -1
		for i := range all {
			n := 0
			for _, p := range pairs[i] {
				if open[p] {
					n++
				}
			}
			if n > most {
				best, most = i, n
			}
		}
		chosen = append(chosen, all[best])
		for _, p := range pairs[best] {
			delete(open, p)
		}
	}
	return chosen
}

func pairsOf(k keys) []string {
	var single, pairs []string
	for _, s := range space {
		single = append(single, fmt.Sprintf("%s=%v", s.key, k[s.key]))
	}
	for i := range single {
		for j := range i {
			pairs = append(pairs, single[j]+" "+single[i])
		}
	}
	return pairs
}

func namesKey(message string, k keys) bool {
	for key := range k {
		if strings.Contains(message, key) {
			return true
		}
	}
	return false
}

func expectedStacks(k keys) []string {
	switch {
	case k["host"] == HostNginx:
		return []string{"Host"}
	case k["load"] == "true":
		return []string{"App", "Client", "Load", "Network"}
	}
	return []string{"App", "Client", "Network"}
}

// addNag lets cdk-nag's AwsSolutions pack write a report beside each template.
func addNag(app awscdk.App) {
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{
		Reports: jsii.Bool(true), LogIgnores: jsii.Bool(false), Verbose: jsii.Bool(false),
	}), nil)
}

// checkReports fails for every finding of cdk-nag that is neither fixed nor
// suppressed with a sentence that says why.
func checkReports(t *testing.T, dir string, templates int) {
	t.Helper()
	reports := glob(t, dir, "*NagReport.csv")
	if len(reports) != templates {
		t.Errorf("%d reports of cdk-nag for %d templates", len(reports), templates)
	}
	for _, path := range reports {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) < 2 {
			t.Errorf("%s: no rule was evaluated", filepath.Base(path))
		}
		for _, row := range rows[1:] { // rule, resource, compliance, exception reason, level, description
			switch row[2] {
			case "Compliant":
			case "Suppressed":
				if len(row[3]) < 20 || !strings.HasSuffix(row[3], ".") {
					t.Errorf("%s on %s is suppressed without a sentence: %q", row[0], row[1], row[3])
				}
			default:
				t.Errorf("%s: %s on %s: %s", row[2], row[0], row[1], row[5])
			}
		}
	}
}

// checkQuiet fails for every warning or error that CDK would print.
func checkQuiet(t *testing.T, dir string) {
	t.Helper()
	for _, path := range glob(t, dir, "*.metadata.json") {
		var byPath map[string][]struct {
			Type string `json:"type"`
			Data any    `json:"data"`
		}
		readJSON(t, path, &byPath)
		for construct, entries := range byPath {
			for _, e := range entries {
				if e.Type == "aws:cdk:warning" || e.Type == "aws:cdk:error" {
					t.Errorf("%s: %v", construct, e.Data)
				}
			}
		}
	}
}
