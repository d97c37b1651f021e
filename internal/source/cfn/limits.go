package cfn

// The limits bound what one input can cost. CloudFormation itself takes a
// template of at most 1 MB with 500 resources, so all of them are far above
// anything that deploys; they exist so that a broken or hostile file ends in
// an error with its place and not in an exhausted machine.
const (
	// maxJSON and maxYAML bound one file, in bytes. The YAML parser needs some
	// fifty times the memory of its input.
	maxJSON = 64 << 20
	maxYAML = 8 << 20
	// maxDepth bounds the nesting of values in a file.
	maxDepth = 200
	// maxExpanded bounds the number of values after YAML aliases are followed.
	maxExpanded = 4 << 20
	// maxPlain bounds the values of a template that is taken as data, a copy of
	// each. The largest that CloudFormation takes, 1 MB, has some 50,000.
	maxPlain = 1 << 18
	// maxStacks bounds the stacks of an assembly, nested ones included, and
	// maxNesting how deep they nest.
	maxStacks  = 2000
	maxNesting = 16
	// maxChain bounds how many references lead to one value.
	maxChain = 400
	// maxText bounds a string that functions build, in bytes.
	maxText = 1 << 20
	// maxWritten bounds what the loops of an assembly write out: values, and
	// units of textPerValue bytes of the items put into them.
	maxWritten = 1 << 20
	// maxItems bounds a list that functions build.
	maxItems = 10000
	// workBase and workPerValue bound the evaluation of an assembly; a value
	// that is read costs about one unit.
	workBase     = 20 << 20
	workPerValue = 64
)
