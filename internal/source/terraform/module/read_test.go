package module

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/source/terraform/resource"
)

// show renders a value with its symbols, and an unknown one with its reason.
func show(v cty.Value) string {
	u, _ := v.UnmarkDeep()
	if !u.IsKnown() {
		return "unknown: " + resource.Why(v)
	}
	if !u.IsWhollyKnown() {
		return "unknown in part: " + resource.Why(v)
	}
	b, err := ctyjson.Marshal(u, u.Type())
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(resource.Render(string(b)), `\"`, `"`)
}

const resources = `
variable "required" { type = string }
data "aws_vpc" "d" { default = true }
data "aws_subnets" "d" {}
resource "aws_lb" "one" { name = "lb" }
resource "aws_security_group" "many" {
  count = 2
  name  = "sg${count.index}"
}
resource "aws_subnet" "each" {
  for_each = { a = 1, b = 2 }
  cidr_block = cidrsubnet("10.0.0.0/16", 8, each.value)
}
resource "aws_subnet" "open" {
  for_each = toset(data.aws_subnets.d.ids)
}
module "remote" { source = "registry/some/aws" }
`

func TestReferences(t *testing.T) {
	tests := []struct{ expr, want string }{
		{`aws_lb.one.arn`, `"${aws_lb.one.arn}"`},
		{`aws_lb.one.name`, `"lb"`},
		{`aws_lb.one.dns_name`, `unknown: aws_lb.one.dns_name is known only after apply`},
		{`"http://${aws_lb.one.dns_name}/"`, `unknown: aws_lb.one.dns_name is known only after apply`},
		{`"${aws_lb.one.arn}/x"`, `"${aws_lb.one.arn}/x"`},
		{`aws_security_group.many[1].id`, `"${aws_security_group.many[1].id}"`},
		{`aws_security_group.many[*].id`, `["${aws_security_group.many[0].id}","${aws_security_group.many[1].id}"]`},
		{`aws_security_group.many.*.name`, `["sg0","sg1"]`},
		{`aws_security_group.many[2].id`,
			`unknown: main.tf:19: Invalid index: The given key does not identify an element in this collection value: the given index is greater than or equal to the length of the collection.`},
		{`try(aws_security_group.many[2].id, aws_lb.one.id)`, `"${aws_lb.one.id}"`},
		{`one(aws_security_group.many[*].id)`,
			`unknown: main.tf:19: Error in function call: Call to function "one" failed: a list of zero or one elements is needed, not of 2.`},
		{`length(aws_security_group.many)`, `2`},
		{`[for k, s in aws_subnet.each : "${k}:${s.cidr_block}"]`, `["a:10.0.1.0/24","b:10.0.2.0/24"]`},
		{`values(aws_subnet.each)[*].id`, `["${aws_subnet.each["a"].id}","${aws_subnet.each["b"].id}"]`},
		{`aws_subnet.each["b"].id`, `"${aws_subnet.each["b"].id}"`},
		{`aws_subnet.open["x"].id`, `unknown: main.tf:15: for_each: data.aws_subnets.d.ids is read from AWS when Terraform plans`},
		{`data.aws_vpc.d.id`, `"${data.aws_vpc.d.id}"`},
		{`data.aws_subnets.d.ids`, `unknown: data.aws_subnets.d.ids is read from AWS when Terraform plans`},
		{`tolist(data.aws_subnets.d.ids)[0]`, `unknown: data.aws_subnets.d.ids is read from AWS when Terraform plans`},
		{`slice(data.aws_subnets.d.ids, 0, 2)`, `unknown in part: data.aws_subnets.d.ids is read from AWS when Terraform plans`},
		{`[for i, id in slice(data.aws_subnets.d.ids, 0, 2) : i]`, `[0,1]`},
		{`length(slice(data.aws_subnets.d.ids, 1, 4))`, `3`},
		{`slice(data.aws_subnets.d.ids, 0, 101)`, `unknown: data.aws_subnets.d.ids is read from AWS when Terraform plans`},
		{`[for s in data.aws_subnets.d.ids : s]`, `unknown: data.aws_subnets.d.ids is read from AWS when Terraform plans`},
		{`length(data.aws_subnets.d.ids) > 1 ? 1 : 0`, `unknown: data.aws_subnets.d.ids is read from AWS when Terraform plans`},
		{`var.required`, `unknown: variable "required" (main.tf:2) has no value; give --var required=…`},
		{`module.remote.vpc_id`,
			`unknown: main.tf:17: module.remote comes from "registry/some/aws", which is not a local path and not installed by terraform init`},
		// An identifier is neither null nor empty, and equal to itself.
		{`aws_lb.one.id == null`, `false`},
		{`aws_lb.one.id != ""`, `true`},
		{`aws_lb.one.id == aws_lb.one.id`, `true`},
		{`aws_security_group.many[0].id == "self"`, `false`},
		{`aws_lb.one.arn != "none"`, `true`},
		{`aws_security_group.many[0].id == "sg-0a1b"`, `unknown: a comparison with an identifier is known only after apply`},
		{`aws_lb.one.arn == "arn:aws:x"`, `unknown: a comparison with an identifier is known only after apply`},
		{`aws_lb.one.id == data.aws_vpc.d.id`, `unknown: a comparison with an identifier is known only after apply`},
		{`aws_lb.one.id == "x" ? 1 : 2`, `unknown: a comparison with an identifier is known only after apply`},
		// Functions that look into an identifier cannot know.
		{`substr(aws_lb.one.id, 0, 3)`, `unknown: substr() of an identifier is known only after apply`},
		{`length(aws_lb.one.id)`, `unknown: the length of an identifier is known only after apply`},
		{`split("/", aws_lb.one.arn)[1]`, `unknown: split() of an identifier is known only after apply`},
		{`contains([aws_lb.one.id], "x")`, `unknown: contains() of an identifier is known only after apply`},
		{`base64encode("x${aws_lb.one.id}")`, `unknown: base64encode() of an identifier is known only after apply`},
		{`lookup({ a = 1 }, aws_lb.one.id, 2)`, `unknown: lookup() of an identifier is known only after apply`},
		// Others carry it along.
		{`compact([aws_lb.one.id, ""])`, `["${aws_lb.one.id}"]`},
		{`distinct(concat([aws_lb.one.id], [aws_lb.one.id, "x"]))`, `["${aws_lb.one.id}","x"]`},
		{`coalesce(null, aws_lb.one.id)`, `"${aws_lb.one.id}"`},
		{`join(",", aws_security_group.many[*].id)`, `"${aws_security_group.many[0].id},${aws_security_group.many[1].id}"`},
		{`merge({ a = aws_lb.one.id }, { b = 1 })["a"]`, `"${aws_lb.one.id}"`},
		{`toset([aws_lb.one.id, aws_lb.one.id])`, `["${aws_lb.one.id}"]`},
		{`jsonencode({ a = aws_lb.one.id, b = data.aws_subnets.d.ids, c = 1 })`, `"{"a":"${aws_lb.one.id}","b":"${unknown}","c":1}"`},
		{`jsonencode(data.aws_subnets.d.ids)`, `unknown: data.aws_subnets.d.ids is read from AWS when Terraform plans`},
		{`templatestring("$${a} $${b}", { a = 1, b = data.aws_vpc.d.cidr_block })`, `"1 ${unknown}"`},
		{`timestamp()`, `unknown: timestamp() is evaluated by Terraform only`},
		{`nosuch(1)`, `unknown: main.tf:19: Call to unknown function: There is no function named "nosuch".`},
		{`yamldecode("a: &x [1]\nb: *x")`, `{"a":[1],"b":[1]}`},
		{`yamldecode("{a: &a [x, x, x, x], b: &b [*a, *a, *a, *a], c: &c [*b, *b, *b, *b], d: &d [*c, *c, *c, *c], e: &e [*d, *d, *d, *d], f: &f [*e, *e, *e, *e]}")`,
			`unknown: main.tf:19: Error in function call: Call to function "yamldecode" failed: its anchors and aliases multiply.`},
		{`jsondecode("` + strings.Repeat("[", 200) + `")`,
			`unknown: main.tf:19: Error in function call: Call to function "jsondecode" failed: it nests deeper than 100.`},
		{`path.cwd`, `unknown: path.cwd depends on the machine`},
		{`file("/etc/passwd")`,
			`unknown: main.tf:19: Error in function call: Call to function "file" failed: /etc/passwd: only files below the module's directory are read.`},
		{`file("../secret")`,
			`unknown: main.tf:19: Error in function call: Call to function "file" failed: ../secret: only files below the module's directory are read: path escapes from parent.`},
		{`jsondecode("\"\\ufdd0aws_lb.one\\ufdd1id\\ufdd3\"")`, `unknown: jsondecode() made a Unicode noncharacter (U+FDD0 to U+FDD5)`},
		{`"\ufdd0aws_lb.one\ufdd1id\ufdd3"`, `unknown: the string holds a Unicode noncharacter (U+FDD0 to U+FDD5)`},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			s := rootScope(t, memory{"main.tf": resources + "output \"x\" {\n value = " + tt.expr + "\n}\n"}, Inputs{})
			if got := show(s.output("x")); got != tt.want {
				t.Errorf("\ngot  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestPrecedence gives one variable from every source and takes them away
// from the strongest down.
func TestPrecedence(t *testing.T) {
	f := memory{
		"main.tf":               `variable "v" { default = "default" }` + "\n" + `output "x" { value = var.v }`,
		"terraform.tfvars":      `v = "terraform.tfvars"`,
		"terraform.tfvars.json": `{"v": "terraform.tfvars.json"}`,
		"a.auto.tfvars":         `v = "a.auto.tfvars"`,
		"b.auto.tfvars.json":    `{"v": "b.auto.tfvars.json"}`,
		"given.tfvars":          `v = "given.tfvars"`,
		"ignored.tfvars":        `v = "ignored"`,
		"sub/terraform.tfvars":  `v = "elsewhere"`,
	}
	in := Inputs{Env: []string{"TF_VAR_v=env", "TF_VAR_other=x"}, VarFiles: []string{"given.tfvars"}, Vars: map[string]string{"v": "flag"}}
	weaken := []func(){
		func() { in.Vars = nil },
		func() { in.VarFiles = nil },
		func() { delete(f, "b.auto.tfvars.json") },
		func() { delete(f, "a.auto.tfvars") },
		func() { delete(f, "terraform.tfvars.json") },
		func() { delete(f, "terraform.tfvars") },
		func() { in.Env = nil },
		func() {},
	}
	want := []string{"flag", "given.tfvars", "b.auto.tfvars.json", "a.auto.tfvars", "terraform.tfvars.json",
		"terraform.tfvars", "env", "default"}
	for i, w := range want {
		if got := show(rootScope(t, f, in).output("x")); got != fmt.Sprintf("%q", w) {
			t.Errorf("got %s, want %q", got, w)
		}
		weaken[i]()
	}
}

func TestTypedVariables(t *testing.T) {
	f := memory{"main.tf": `
variable "s" { type = string }
variable "n" { type = number }
variable "l" { type = list(string) }
variable "o" {
  type = object({ a = string, b = optional(number, 7) })
  default = { a = "x" }
}
variable "untyped" {}
variable "kept" {
  type     = string
  default  = "d"
  nullable = false
}
output "x" { value = [var.s, var.n + 1, var.l, var.o, var.untyped, var.kept] }
`, "v.tfvars": "kept = null"}
	s := rootScope(t, f, Inputs{VarFiles: []string{"v.tfvars"},
		Vars: map[string]string{"s": "1", "n": "2", "l": `["a", 3]`, "untyped": "[1]"}})
	if got, want := show(s.output("x")), `["1",3,["a","3"],{"a":"x","b":7},"[1]","d"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestErrors lists what is refused: each error names the place and comes
// with a next step and the exit code for bad input.
func TestErrors(t *testing.T) {
	tests := []struct {
		name  string
		files memory
		in    Inputs
		want  string
	}{
		{"syntax", memory{"main.tf": "locals {\n  a = [1 2]\n}\n"}, Inputs{}, "main.tf:2: Missing item separator"},
		{"json syntax", memory{"main.tf.json": "{\n\"locals\": {\n"}, Inputs{}, "main.tf.json:3: "},
		{"tfvars syntax", memory{"main.tf": "", "terraform.tfvars": "a = \n"}, Inputs{}, "terraform.tfvars:1: "},
		{"unknown block", memory{"main.tf": "resorce \"a\" \"b\" {}\n"}, Inputs{}, "main.tf:1: Unsupported block type"},
		{"no files", memory{"README.md": ""}, Inputs{}, ".: holds no .tf, .tf.json or .tofu file"},
		{"undeclared resource", memory{"main.tf": "locals {\n a = aws_lb.x.id\n}"}, Inputs{}, "main.tf:2: aws_lb.x is not declared"},
		{"undeclared data", memory{"main.tf": "locals {\n a = data.aws_lb.x.id\n}"}, Inputs{}, "main.tf:2: data.aws_lb.x is not declared"},
		{"undeclared local", memory{"main.tf": "locals {\n a = local.b\n}"}, Inputs{}, "main.tf:2: local.b is not declared"},
		{"undeclared variable", memory{"main.tf": "locals {\n a = var.b\n}"}, Inputs{}, "main.tf:2: var.b is not declared"},
		{"undeclared module", memory{"main.tf": "locals {\n a = module.m.x\n}"}, Inputs{}, "main.tf:2: module.m is not declared"},
		{"no such name", memory{"main.tf": "locals {\n a = foo\n}"}, Inputs{}, "main.tf:2: foo is not declared"},
		{"duplicate", memory{"a.tf": "resource \"aws_lb\" \"x\" {}", "b.tf": "\nresource \"aws_lb\" \"x\" {}"}, Inputs{},
			"b.tf:2: resource aws_lb x is declared twice, first at a.tf:1"},
		{"duplicate local", memory{"a.tf": "locals {\n a = 1\n}\nlocals {\n a = 2\n}"}, Inputs{},
			"a.tf:5: local.a is declared twice, first at a.tf:2"},
		{"cycle of locals", memory{"main.tf": "locals {\n a = local.b\n b = local.c\n c = local.a\n}"}, Inputs{},
			"main.tf:2: a cycle of references: local.a -> local.b -> local.c -> local.a"},
		{"cycle of groups", memory{"main.tf": `
resource "aws_security_group" "a" {
  ingress { security_groups = [aws_security_group.b.id] }
}
resource "aws_security_group" "b" {
  ingress { security_groups = [aws_security_group.a.id] }
}`}, Inputs{}, "main.tf:2: a cycle of references: aws_security_group.a -> aws_security_group.b -> aws_security_group.a"},
		{"self reference", memory{"main.tf": "resource \"aws_lb\" \"x\" {\n name = aws_lb.x.id\n}"}, Inputs{},
			"main.tf:1: a cycle of references: aws_lb.x -> aws_lb.x"},
		{"cycle through modules", memory{
			"main.tf":   "module \"m\" {\n source = \"./m\"\n a = module.m.b\n}",
			"m/main.tf": "variable \"a\" {}\noutput \"b\" {\n value = var.a\n}"}, Inputs{},
			"a cycle of references: module.m.output.b -> module.m.var.a -> module.m.output.b"},
		{"cycle by depends_on",
			memory{"main.tf": "resource \"aws_lb\" \"x\" {\n depends_on = [aws_lb.y]\n}\nresource \"aws_lb\" \"y\" {\n name = aws_lb.x.name\n}"},
			Inputs{}, "a cycle of references: aws_lb.x -> aws_lb.y -> aws_lb.x"},
		{"module that calls itself", memory{"main.tf": "module \"m\" {\n source = \"./\"\n}"}, Inputs{},
			"more than 500 module calls, or calls nested deeper than 16"},
		{"module without directory", memory{"main.tf": "module \"m\" {\n source = \"./nope\"\n}"}, Inputs{}, "nope: no such directory"},
		{"module argument", memory{"main.tf": "module \"m\" {\n source = \"./m\"\n x = 1\n}", "m/main.tf": "locals {}"},
			Inputs{}, `main.tf:3: module "m" has no variable "x"`},
		{"module argument type",
			memory{"main.tf": "module \"m\" {\n source = \"./m\"\n x = [1]\n}", "m/main.tf": "variable \"x\" {\n type = number\n}"},
			Inputs{}, `main.tf:3: not a value for variable "x": number required`},
		{"module source", memory{"main.tf": "module \"m\" {\n source = \"./${path.module}\"\n}"}, Inputs{},
			`main.tf:2: the source of module "m" is not a literal`},
		{"count too large", memory{"main.tf": "resource \"aws_lb\" \"x\" {\n count = 1000000000\n}"}, Inputs{},
			"main.tf:2: 1000000000 instances; the limit is 10000"},
		{"count negative", memory{"main.tf": "resource \"aws_lb\" \"x\" {\n count = -1\n}"}, Inputs{}, "main.tf:2: count is -1"},
		{"count of the wrong type", memory{"main.tf": "resource \"aws_lb\" \"x\" {\n count = []\n}"}, Inputs{},
			"main.tf:2: count is of type tuple"},
		{"for_each of a list", memory{"main.tf": "resource \"aws_lb\" \"x\" {\n for_each = [\"a\"]\n}"}, Inputs{},
			"main.tf:2: for_each is of type tuple"},
		{"for_each of null", memory{"main.tf": "resource \"aws_lb\" \"x\" {\n for_each = null\n}"}, Inputs{}, "main.tf:2: for_each is null"},
		{"too many in all",
			memory{"main.tf": "resource \"aws_lb\" \"x\" {\n count = 6000\n}\nresource \"aws_lb\" \"y\" {\n count = 6000\n}"},
			Inputs{}, "main.tf:4: the configuration has more than 10000 resource and module instances"},
		{"flag for no variable", memory{"main.tf": `variable "a" {}`}, Inputs{Vars: map[string]string{"b": "1"}},
			"--var b: the root module declares no such variable"},
		{"flag of the wrong type", memory{"main.tf": `variable "a" { type = number }`},
			Inputs{Vars: map[string]string{"a": "x"}}, `--var a: not a value for variable "a": a number is required`},
		{"flag that does not parse", memory{"main.tf": `variable "a" { type = list(string) }`},
			Inputs{Vars: map[string]string{"a": "["}}, `--var a: not a value for variable "a"`},
		{"var file missing", memory{"main.tf": ""}, Inputs{VarFiles: []string{"x.tfvars"}}, "x.tfvars: open x.tfvars: file does not exist"},
		{"validation",
			memory{"main.tf": "variable \"a\" {\n default = 1\n validation {\n  condition = var.a > 1\n  error_message = \"Must be ${1 + 1}.\"\n }\n}"},
			Inputs{}, `variable "a": Must be 2.`},
		{"default of the wrong type", memory{"main.tf": "variable \"a\" {\n type = number\n default = \"x\"\n}"}, Inputs{},
			`main.tf:1: the default of variable "a" does not fit its type`},
		{"malformed dynamic", memory{"main.tf": "resource \"aws_lb\" \"x\" {\n dynamic \"a\" {}\n}"}, Inputs{},
			"main.tf:2: malformed dynamic block"},
		{"noncharacter", memory{"main.tf": "\n# \ufdd1"}, Inputs{}, "main.tf:2: holds a Unicode noncharacter"},
		{"deep brackets", memory{"main.tf": "locals {\n a = " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n}"},
			Inputs{}, "main.tf:2: brackets, blocks and templates nest deeper than 100"},
		{"deep templates",
			memory{"main.tf": "locals {\n a = " + strings.Repeat(`"${`, 200) + strings.Repeat(`}"`, 200) + "\n}"}, Inputs{}, "nest deeper than 100"},
		{"deep unary", memory{"main.tf": "locals {\n a = " + strings.Repeat("!", 500_000) + "true\n}"}, Inputs{},
			"main.tf:2: an expression has more than 2000 parts in a row"},
		{"deep conditionals", memory{"main.tf": "locals {\n a = " + strings.Repeat("true ? 1 : ", 50_000) + "2\n}"},
			Inputs{}, "main.tf:2: an expression has more than 2000 parts in a row"},
		{"deep json", memory{"main.tf.json": `{"locals": {"a": ` + strings.Repeat("[", 500_000)}, Inputs{},
			"main.tf.json:1: brackets nest deeper than 100"},
		{"deep json type", memory{"main.tf.json": `{"variable": {"a": {"type": "` + strings.Repeat("(", 500_000) + `"}}}`},
			Inputs{}, "nest deeper than 100"},
		{"large file", memory{"main.tf": strings.Repeat("#\n", 600_000)}, Inputs{}, "main.tf: larger than 1024 KiB"},
		{"doubling", used(doubling()), Inputs{}, "the configuration takes more work to evaluate than the limit of 20 million units"},
		{"doubling type", used(doublingType("local.l > 0")), Inputs{}, "takes more work"},
		{"doubling type, chosen", used(doublingType("true")), Inputs{}, "takes more work"},
		{"doubling type, unknown", used("variable \"u\" {}\n" + doublingType("var.u")), Inputs{}, "takes more work"},
		{"long loop", used("locals {\n a = [for x in range(1000) : [for y in range(1000) : [for z in range(1000) : z]]]\n}"),
			Inputs{}, "takes more work"},
		{"setproduct", used("locals {\n r = range(1000)\n a = length(setproduct(local.r, local.r, local.r, local.r))\n}"),
			Inputs{}, "takes more work"},
		{"wide format", used("locals {\n a = format(\"%999999999s\", \"x\")\n}"), Inputs{}, "takes more work"},
		{"repeated verb",
			used("locals {\n s = join(\"\", [for i in range(1000) : \"0123456789\"])\n a = format(\"" + strings.Repeat("%[1]s", 5000) + "\", local.s)\n}"),
			Inputs{}, "takes more work"},
		{"replace",
			used("locals {\n s = join(\"\", [for i in range(1000) : \"0123456789\"])\n a = replace(local.s, \"\", local.s)\n}"),
			Inputs{}, "takes more work"},
		{"join",
			used("locals {\n s = join(\"\", [for i in range(1000) : \"0123456789\"])\n a = join(local.s, [for i in range(1000) : [for j in range(5) : i]]...)\n}"),
			Inputs{}, "takes more work"},
		{"indent", used("locals {\n a = indent(1000000000, \"a\\nb\")\n}"), Inputs{}, "takes more work"},
		{"huge literal", used("locals {\n a = \"${1e999999999}\"\n}"), Inputs{}, "main.tf:2: a number is beyond 2^±2000"},
		{"nested try",
			used("locals {\n a = " + strings.Repeat("try(", 90) + "local.b" + strings.Repeat(")", 90) + "\n b = [for i in range(1000) : [for j in range(1000) : j]]\n}"),
			Inputs{}, "takes more work"},
		{"long chain", used(chain(3000)), Inputs{}, "references lead through more than 500 steps"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := read(tt.files, ".", tt.in)
			if err == nil {
				t.Fatalf("no error; read %d instances", len(set.Instances))
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("\ngot  %v\nwant %s", err, tt.want)
			}
			if fail.CodeOf(err) != fail.Usage || fail.HintOf(err) == "" {
				t.Errorf("code %d, hint %q", fail.CodeOf(err), fail.HintOf(err))
			}
		})
	}
}

// used is a configuration of which local.a is read; others are lazy.
func used(locals string) memory {
	return memory{"main.tf": locals, "used.tf": "resource \"aws_lb\" \"user\" {\n name = local.a\n}"}
}

// doubling chains locals, each of which doubles the one before.
func doubling() string {
	var b strings.Builder
	b.WriteString("locals {\n l0 = \"0123456789\"\n")
	for i := 1; i < 60; i++ {
		fmt.Fprintf(&b, " l%d = \"${local.l%[2]d}${local.l%[2]d}\"\n", i, i-1)
	}
	b.WriteString(" a = local.l59\n}\n")
	return b.String()
}

// doublingType makes types that double: Terraform makes the two results of a
// conditional one type, whichever it takes.
func doublingType(condition string) string {
	var b strings.Builder
	b.WriteString("locals {\n l = 1\n l0 = {x = 1}\n")
	for i := 1; i < 60; i++ {
		fmt.Fprintf(&b, " l%d = %s ? {l = local.l%[3]d, r = local.l%[3]d} : {l = local.l%[3]d, r = local.l%[3]d}\n", i, condition, i-1)
	}
	b.WriteString(" a = local.l59\n}\n")
	return b.String()
}

// chain makes n locals that each refer to the next.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("locals {\n a = local.l0\n")
	for i := range n {
		fmt.Fprintf(&b, " l%d = local.l%d\n", i, i+1)
	}
	fmt.Fprintf(&b, " l%d = 1\n}\n", n)
	return b.String()
}
