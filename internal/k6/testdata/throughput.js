// A closed loop without a pause, for what recording costs.
import http from 'k6/http';
import hoplab from 'k6/x/hoplab';

hoplab.load();

export const options = {
  discardResponseBodies: true,
  scenarios: { load: { executor: 'constant-vus', vus: 50, duration: `${__ENV.SECONDS}s`, gracefulStop: '1s' } },
};

const modes = {
  plain: () => http.get(`${__ENV.URL}/`),
  http: () => {
    const req = hoplab.next(0);
    hoplab.record(http.get(req.url, req.params));
  },
  native: () => hoplab.request(0),
};

export default modes[__ENV.MODE];
