variable "image" {
  type = string
}

resource "aws_ecs_task_definition" "app" {
  family = "app"
  container_definitions = templatefile("${path.module}/files/containers.json.tftpl", {
    image = var.image
    port  = 8080
    env   = { MODE = "test", DB = aws_db_instance.main.address }
  })
}

# The task has a number where the template wants one that is not known.
resource "aws_ecs_task_definition" "open_port" {
  family = "open-port"
  container_definitions = templatefile("${path.module}/files/containers.json.tftpl", {
    image = "x"
    port  = aws_db_instance.main.port
    env   = {}
  })
}

resource "aws_db_instance" "main" {}

resource "aws_instance" "app" {
  vpc_security_group_ids = ["sg-1"]
  user_data_base64       = base64encode(templatefile("files/user_data.sh.tftpl", { port = 8080 }))
}

resource "aws_instance" "outside" {
  vpc_security_group_ids = ["sg-1"]
  user_data              = file("../cases.json")
}
