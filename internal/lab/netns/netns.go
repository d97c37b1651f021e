// Package netns is the fabric that the kernel runs: every network interface
// of the deployment is a network namespace with its real address and its real
// ports, subnets are bridges, and security groups and the redirects of
// Service Connect are nftables rules with connection tracking.
//
// It works as root, and without privileges inside a user namespace that Enter
// makes. A namespace lives as long as the thread of this process that is in
// it, so that nothing remains when the process ends, however it ends. Bridges
// and routes are in a namespace of their own too: the machine's own network
// is not touched.
//
// What is modelled is TCP. Other protocols do not pass between hosts, with
// two exceptions: the names of the VPC's resolver (names.go) and IPv6
// neighbour discovery.
package netns

// Name is the fabric's name.
const Name = "netns"
