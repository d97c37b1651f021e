// The load of one replicate: requests at a constant rate, each to the arm that
// the plan drew for it. What to send comes from the file HOPLAB_LOAD; where the
// samples go from --out hoplab=FILE. `hoplab run` sets both.

import http from 'k6/http';
import hoplab from 'k6/x/hoplab';

const load = hoplab.load();
const schedule = hoplab.schedule();

export const options = {
  discardResponseBodies: true,
  noConnectionReuse: !load.keep_alive,
  hosts: hoplab.hosts(),
  systemTags: [],
  userAgent: 'hoplab',
  scenarios: {
    // One scenario for all arms: two at once would keep a fixed phase to each
    // other, which alone can look like a difference.
    load: {
      executor: 'constant-arrival-rate',
      rate: 1,
      timeUnit: schedule.timeUnit,
      duration: schedule.duration,
      gracefulStop: schedule.gracefulStop,
      preAllocatedVUs: schedule.vus,
    },
  },
};

function native() {
  hoplab.request();
}

function viaK6() {
  const req = hoplab.next();
  if (req !== null) {
    hoplab.record(http.request(req.method, req.url, req.body, req.params));
  }
}

export default load.client === 'http' ? viaK6 : native;
