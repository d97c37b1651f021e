variable "internal" {
  default = true
}

locals {
  name = "from override"
}

resource "aws_lb" "this" {
  security_groups = [aws_security_group.this.id]
}

resource "aws_security_group" "this" {
  ingress {
    from_port   = 8080
    to_port     = 8080
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8"]
  }
}
