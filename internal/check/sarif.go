package check

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/topology"
)

// SARIFOptions adjusts a SARIF log.
type SARIFOptions struct {
	Version string // hoplab's own version
	// Root is the directory to which file names are made relative, so that a
	// code-scanning upload finds them in the repository. Empty leaves them.
	Root string
	// Source names the file for findings whose resource has none.
	Source string
}

const (
	toolURI     = "https://github.com/hoplab/hoplab"
	rulesURI    = toolURI + "/blob/main/docs/rules.md#"
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

// SARIF writes the findings as a SARIF 2.1.0 log with one run. Suppressed
// findings are included with their justification, as the format wants it.
func SARIF(w io.Writer, findings []Finding, o SARIFOptions) error {
	data, err := json.MarshalIndent((*sarifLog)(sarifReport(findings, o)), "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(printable.Document(data), '\n'))
	return err
}

// sarifLog has a report's fields and none of its methods. Report.Validate
// would bring a validator with text/template into the program, and with that
// every exported method of every type.
type sarifLog sarif.Report

func sarifReport(findings []Finding, o SARIFOptions) *sarif.Report {
	run := sarif.NewRunWithInformationURI("hoplab", toolURI)
	if o.Version != "" {
		run.Tool.Driver.WithVersion(o.Version)
	}
	index := map[string]int{}
	for i, r := range Rules() {
		index[r.ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule(r))
	}
	for _, f := range findings {
		run.AddResult(sarifResult(f, index[f.Rule], o))
	}
	report := sarif.NewReport()
	report.Schema = sarifSchema
	report.AddRun(run)
	return report
}

func sarifRule(r Rule) *sarif.ReportingDescriptor {
	help := r.Explain + " " + r.Fix
	markdown := r.Explain + "\n\n**Fix:** " + r.Fix + "\n\n**Source:** " + r.Source
	tags := sarif.NewPropertyBag()
	tags.Tags = []string{"aws", "ecs", "service-connect"}
	tags.Properties = map[string]any{"precision": "high", "problem.severity": problem(r.Severity)}
	return sarif.NewRule(r.ID).
		WithName(camel(r.ID)).
		WithShortDescription(sarif.NewMultiformatMessageString().WithText(r.Title)).
		WithFullDescription(sarif.NewMultiformatMessageString().WithText(r.Explain)).
		WithHelp(sarif.NewMultiformatMessageString().WithText(help).WithMarkdown(markdown)).
		WithHelpURI(rulesURI + r.ID).
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(r.Severity.String())).
		WithProperties(tags)
}

// problem maps a severity to the names that code scanning sorts by.
func problem(s Severity) string {
	if s == Note {
		return "recommendation"
	}
	return s.String()
}

// camel turns a rule's ID into the Pascal case that SARIF wants for names.
func camel(id string) string {
	var b strings.Builder
	for _, part := range strings.Split(id, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

func sarifResult(f Finding, rule int, o SARIFOptions) *sarif.Result {
	text := render.Capital(f.Message) + "."
	if f.Effect != "" {
		text += " Effect: " + f.Effect + "."
	}
	text += " Fix: " + f.Fix
	r := sarif.NewRuleResult(f.Rule).
		WithRuleIndex(rule).
		WithLevel(f.Severity.String()).
		WithMessage(sarif.NewTextMessage(noSARIFLink(text))).
		AddLocation(sarifLocation(f.Origin, o))
	for i, rel := range f.Related {
		loc := sarifLocation(rel, o).WithID(i + 1)
		r.AddRelatedLocation(loc.WithMessage(sarif.NewTextMessage("plays a part")))
	}
	r.WithPartialFingerprints(map[string]string{"hoplab/v1": fingerprint(f)})
	if f.Suppressed != nil {
		kind := "inSource"
		if f.Suppressed.By != "template" {
			kind = "external"
		}
		r.AddSuppression(sarif.NewSuppression().WithKind(kind).WithStatus("accepted").WithJustification(f.Suppressed.Reason))
	}
	return r
}

// noSARIFLink parts what the text of a message reads as a link,
// [text](destination): section 3.11.6 of SARIF 2.1.0.
func noSARIFLink(text string) string { return strings.ReplaceAll(text, "](", "] (") }

// fingerprint stays the same while a finding moves within its file.
func fingerprint(f Finding) string {
	sum := sha256.Sum256([]byte(f.Rule + "\x00" + string(f.Origin.ID) + "\x00" + f.Message))
	return hex.EncodeToString(sum[:16])
}

func sarifLocation(at topology.Origin, o SARIFOptions) *sarif.Location {
	file := at.File
	if file == "" {
		file = o.Source
	}
	if o.Root != "" && file != "" {
		file = below(o.Root, file)
	}
	line := max(at.Line, 1)
	loc := sarif.NewLocation()
	if file != "" {
		loc.WithPhysicalLocation(sarif.NewPhysicalLocation().
			WithArtifactLocation(sarif.NewArtifactLocation().WithURI(filepath.ToSlash(file))).
			WithRegion(sarif.NewRegion().WithStartLine(line)))
	}
	if at.ID != "" {
		logical := sarif.NewLogicalLocation().WithName(string(at.ID)).WithKind("resource")
		if at.Path != "" {
			logical.WithFullyQualifiedName(at.Path)
		}
		loc.AddLogicalLocation(logical)
	}
	return loc
}

// below returns file relative to root when it lies below it, else unchanged.
func below(root, file string) string {
	absRoot, err1 := filepath.Abs(root)
	absFile, err2 := filepath.Abs(file)
	if err1 != nil || err2 != nil {
		return file
	}
	rel, err := filepath.Rel(absRoot, absFile)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return file
	}
	return rel
}
