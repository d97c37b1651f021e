variable "name" {}

resource "aws_security_group" "this" {
  name = var.name
}

output "security_group_id" {
  value = try(aws_security_group.this.id, "")
}
