package hopcost

const head = `# What the agent costs

What one Service Connect agent, a real Envoy, adds to a request in the lab on one machine, and what makes it more or less.
Both arms of a run are there at the same time, the arm of each request is drawn at random, and every replicate starts
everything anew: [measuring.md](measuring.md) says why. The page is made from the run directories in
` + "`docs/hop-cost`" + ` by ` + "`go generate ./internal/test/hopcost`" + `; ` + "`scripts/hop-cost.sh`" + ` records them, on a machine that should be
quiet. What a hop is worth beside HAProxy and nginx, without load balancer and app: [trials.md](trials.md).

## In the lab

`

// published is what others measured. None of it is an A/B measurement with an
// interval, and the text must not make it one.
const published = `
## On AWS, as published

No published measurement separates the agent from what is around it, with repetitions and an interval. Four say something:

| source | what was measured | figure | what it can say of one hop |
| --- | --- | --- | --- |
| the article on ` + "`ingressPortOverride`" + ` ([semantics.md](semantics.md), S2) | 20 users, 50 s each way, one after the other, through an ALB: default mode (agent before the app), then override (none) | median 4.45 and 3.82 ms, mean 4.34 and 3.31 ms, p95 7.03 and 6.35 ms | +0.63 ms at the median, +1.03 ms in the mean, of one run each: drift between the two is in it |
| log of an operations exercise, us-west-1, July 2026 (Fargate, 256 CPU units) | ` + "`curl`" + ` once a second from one task to another by Service Connect name: two agents, a handler that does nothing, a new connection each time | 4.1 to 4.8 ms steady; 41 and 8 ms for the first two calls | the whole call is in it, connection, network and app too: an upper limit of about 2 ms for each agent |
| log of the same exercise, a second service | a chain of three calls by Service Connect name, hop to hop by log stamps | 11 and 5 ms; the whole request through the ALB 87 ms | two agents, network, connection and the app's own work are in each: no figure of a hop |
| log of the same exercise, the only task of a provider stopped | ` + "`curl`" + ` by Service Connect name while the caller's agent knows no task and answers 503 itself: one agent, no network, no app | 1.1 ms for the last of 111 answers; another caller logged 3.3 ms in its HTTP library | connecting and starting are in it: one agent's own work is at most that |

The lab's figures are of the same program on another machine: no shared 0.25 vCPU, no network between tasks, a load of its
own. Beside each other the two give an order of magnitude and no more. How much it is in your deployment: ` + "`hoplab run --target aws`" + ` ([aws.md](aws.md)).

## What is not here

- TLS at the load balancer, which both arms would have alike, and from it to the agent of an endpoint with TLS. Certificates
  that are rotated while requests go on, as those of AWS Private CA are every few days.
- HTTP/2 from the client: the load generator and the load balancer's listener speak HTTP/1.1. ` + "`--app-protocol http2`" + ` makes
  the agents speak HTTP/2 to each other and to the app.
- More than one request at a time on a saturated agent: [trials.md](trials.md) has the closed loop.
`
