variable "services" {
  type = map(object({
    port   = number
    public = optional(bool, false)
    peers  = optional(list(string), [])
  }))
  default = {
    api = { port = 8080, public = true }
    job = { port = 9090, peers = ["api"] }
  }
}

module "network" {
  source = "./modules/network"
  cidr   = "10.1.0.0/16"
}

module "app" {
  source   = "./modules/app"
  for_each = var.services

  name    = each.key
  port    = each.value.port
  vpc_id  = module.network.vpc_id
  subnets = module.network.subnet_ids
  sources = [for p in each.value.peers : module.gate[0].group_id]
}

# A module with a count, read through an index.
module "gate" {
  source = "./modules/app"
  count  = 1

  name    = "gate"
  port    = 443
  vpc_id  = module.network.vpc_id
  subnets = module.network.subnet_ids
}

resource "aws_security_group_rule" "public" {
  for_each = { for name, s in var.services : name => s if s.public }

  type              = "ingress"
  security_group_id = module.app[each.key].group_id
  cidr_blocks       = ["0.0.0.0/0"]
  from_port         = each.value.port
  to_port           = each.value.port
  protocol          = "tcp"
}
