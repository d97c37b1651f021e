variable "id" {}

resource "terraform_data" "inner" {
  input = var.id
}

output "id" {
  value = terraform_data.inner.id
}

output "passed" {
  value = var.id
}
