variable "port" { type = number }
variable "name" {}
variable "cidrs" {
  type    = set(string)
  default = []
}

resource "aws_security_group" "this" {
  name = var.name

  ingress {
    from_port   = var.port
    to_port     = var.port
    protocol    = "tcp"
    cidr_blocks = var.cidrs
  }
}
