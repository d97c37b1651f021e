port = 1
name = "from terraform.tfvars"
extra = "not declared"
