[
  {
    "name": "server",
    "image": "${image}",
    "cpu": 256,
    "portMappings": [{ "name": "http", "containerPort": 3000, "appProtocol": "http" }],
    "environment": []
  }
]
