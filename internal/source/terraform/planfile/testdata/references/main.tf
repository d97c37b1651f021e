# What Terraform makes of references; plan.json is the plan of this directory.
variable "n" {
  default = 2
}

locals {
  first = terraform_data.counted[0].id
}

resource "terraform_data" "counted" {
  count = var.n
  input = "x${count.index}"
}

resource "terraform_data" "keyed" {
  for_each = toset(["a", "ab", "c"])
  input    = terraform_data.counted[0].id
}

resource "terraform_data" "same_key" {
  for_each = toset(["c"])
  input    = terraform_data.keyed[each.key].id
}

resource "terraform_data" "close_keys" {
  for_each = toset(["a"])
  input    = terraform_data.keyed[each.key].id
}

resource "terraform_data" "shifted" {
  count = 2
  input = terraform_data.counted[1 - count.index].id
}

resource "terraform_data" "literal_key" {
  input = terraform_data.keyed["ab"].id
}

resource "terraform_data" "splat" {
  input = terraform_data.counted[*].id
}

resource "terraform_data" "part" {
  input = slice(values(terraform_data.keyed)[*].id, 0, 2)
}

resource "terraform_data" "listed" {
  input = [terraform_data.counted[0].id, terraform_data.counted[1].id]
}

resource "terraform_data" "optional" {
  input = var.n > 1 ? terraform_data.counted[0].id : null
}

resource "terraform_data" "choice" {
  input = var.n > 1 ? terraform_data.counted[0].id : terraform_data.counted[1].id
}

resource "terraform_data" "choice_of_lists" {
  input = var.n > 1 ? [terraform_data.counted[0].id] : [terraform_data.counted[1].id]
}

resource "terraform_data" "through_local" {
  input = local.first
}

resource "terraform_data" "not_an_id" {
  input = terraform_data.counted[0].output
}

resource "terraform_data" "nested" {
  input = { a = terraform_data.counted[0].id, b = "known" }
}

resource "terraform_data" "ordered" {
  input      = "known"
  depends_on = [module.each, terraform_data.nested]
}

module "each" {
  source   = "./mod"
  for_each = toset(["c"])
  id       = terraform_data.keyed[each.key].id
}

module "plain" {
  source = "./mod"
  id     = module.each["c"].id
}

resource "terraform_data" "output" {
  input = module.plain.id
}

resource "terraform_data" "passed_through" {
  input = module.plain.passed
}
