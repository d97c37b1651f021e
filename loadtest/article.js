// The article's own test: a fixed number of users who each wait one second
// after every answer, first against one arm and then against the next. It is
// here to be repeated, not to be believed: drift between the two halves looks
// like the hop, and users who wait for a slow server leave load out.

import http from 'k6/http';
import { sleep } from 'k6';
import hoplab from 'k6/x/hoplab';

const load = hoplab.load();
const share = load.duration_s / load.arms.length;

const scenarios = {};
load.arms.forEach((arm, i) => {
  scenarios[`arm_${i}`] = {
    executor: 'constant-vus',
    vus: load.vus,
    // The warm-up belongs to the first arm, as in any run of one arm after the other.
    startTime: i === 0 ? '0s' : `${load.warmup_s + i * share}s`,
    duration: `${i === 0 ? load.warmup_s + share : share}s`,
    gracefulStop: `${load.timeout_s + 1}s`,
    env: { ARM: String(i) },
  };
});

export const options = {
  discardResponseBodies: true,
  noConnectionReuse: !load.keep_alive,
  hosts: hoplab.hosts(),
  systemTags: [],
  userAgent: 'hoplab',
  scenarios,
};

export default function () {
  const arm = Number(__ENV.ARM);
  if (load.client === 'http') {
    const req = hoplab.next(arm);
    hoplab.record(http.request(req.method, req.url, req.body, req.params));
  } else {
    hoplab.request(arm);
  }
  sleep(1);
}
