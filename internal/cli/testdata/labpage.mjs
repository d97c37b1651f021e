// Drives Chromium through the page of a lab beside the shell: {browser, url,
// hoplab, up} are the page's address, the command, and the arguments that start
// the lab. The lab goes down under the open page, and up again.
import { execFileSync } from 'node:child_process';
import { browser, has, job, wrong } from '../../page/browser.mjs';
import { desk, open, propose, put } from '../../page/live/clicks.mjs';

const hoplab = (...args) => execFileSync(job.hoplab, args, { stdio: ['ignore', 'pipe', 'inherit'] });
const client = { caller: 'client-service', url: 'http://app.sample-namespace' };
const call = () => hoplab('lab', 'curl', '--from', client.caller, client.url);

// The ids of all events that the page gets, in their order.
const page = await open(job.url, desk, () => {
  window.ids = [];
  window.EventSource = class extends EventSource {
    constructor(url) {
      super(url);
      this.addEventListener('message', (e) => window.ids.push(Number(e.lastEventId)));
    }
  };
});

await put(page, { ...client, want: ['status 200', 'Hello World', 'client agent of client-service', 'Headers of the request', 'Access log', 'As predicted'] });
call();
call();
await has(page, 'three requests', '.live li', /^client agent of client-service: 3$/, 15_000);
await propose(page, 'sample-ecs-app', 'desired count', '2');
await page.getByRole('button', { name: 'Apply to the lab' }).click();
await has(page, 'applied', '.changed', 'desired count');

hoplab('lab', 'down');
await has(page, 'a lab that is down', '.live [role=alert]', 'no lab called "default" is up', 15_000);
await page.getByRole('button', { name: 'Send', exact: true }).click();
await has(page, 'a request while it is down', '.seen', 'no lab called "default" is up', 15_000);

hoplab(...job.up);
await page.locator('.live [role=alert]').waitFor({ state: 'detached', timeout: 30_000 }).catch(() => wrong('the lab is up again, and the page does not say so'));
await page.locator('.changed').waitFor({ state: 'detached', timeout: 30_000 }).catch(() => wrong('the new lab has not the change of the old one, and the page shows it'));
call();
call();
await has(page, 'two requests to the new lab', '.live li', /^client agent of client-service: 2$/, 15_000);
await put(page, { ...client, want: ['status 200', 'As predicted'] });
await has(page, 'three requests to the new lab', '.live li', /^client agent of client-service: 3$/, 15_000);
const told = (await page.locator('.timeline li').allInnerTexts()).filter((text) => !/ [✓✕·] /.test(text)); // not of targets
if (told.length !== 2 || !told[0].includes('the lab answers again')) wrong(`the timeline has ${JSON.stringify(told)}; want that the lab went, and that it is back`);
const ids = await page.evaluate(() => window.ids);
if (ids.length < 6 || ids.some((id, i) => id !== i + 1)) wrong(`events are lost or doubled: ${ids}`);
await browser.close();
