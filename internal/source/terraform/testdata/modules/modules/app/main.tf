variable "name" {}
variable "port" { type = number }
variable "vpc_id" { type = string }
variable "subnets" { type = list(string) }
variable "sources" {
  type    = list(string)
  default = []
}

resource "aws_security_group" "this" {
  name   = var.name
  vpc_id = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  count                        = length(var.sources)
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = var.sources[count.index]
  from_port                    = var.port
  to_port                      = var.port
  ip_protocol                  = "tcp"
}

resource "aws_instance" "this" {
  ami                    = "ami-1"
  instance_type          = "t3.micro"
  subnet_id              = var.subnets[0]
  vpc_security_group_ids = [aws_security_group.this.id]
  user_data              = file("${path.module}/user_data.sh")

  tags = {
    Name = var.name
  }
}

output "group_id" {
  value = aws_security_group.this.id
}
