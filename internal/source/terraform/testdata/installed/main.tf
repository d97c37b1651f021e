module "web" {
  source  = "terraform-aws-modules/security-group/aws"
  version = "5.0.0"
  name    = "web"
}

resource "aws_instance" "this" {
  vpc_security_group_ids = [module.web.security_group_id]
}
