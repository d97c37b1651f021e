// Package cfn reads CloudFormation templates and says what their expressions
// resolve to before anything is deployed.
//
// Load takes template files (JSON, or YAML with short-form tags, anchors and
// merge keys) or a CDK cloud assembly with all its stacks, stages and nested
// stacks. Every Value knows its file and line and is one of
//
//   - a scalar, list or map that the templates settle;
//   - a Reference to a resource or one of its attributes, also across stacks:
//     Fn::ImportValue, Fn::GetStackOutput, outputs and parameters of nested
//     stacks, CDK's cross-region exports, SSM parameters of the assembly;
//   - Unknown, with the reason and its place. An unknown value can still be
//     certainly equal to another (Same) or have a known part (Pattern, Tail);
//   - Absent, which AWS::NoValue gives too.
//
// Nothing is guessed: a condition that hangs on a parameter without value is
// not decided, and what it chooses between is unknown unless both branches
// agree. Parameters take the values of Options, else what the parent stack or
// the manifest passes, else their default.
//
// Rules of a template only refuse values at deploy and change nothing, so they
// are passed over. Macros and transforms that rewrite a template are noted
// and not run.
//
// The package knows how templates are written and nothing of what resources
// mean; see package topology for that. It does not import the CDK.
package cfn
