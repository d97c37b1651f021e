ingress_port_override = null
