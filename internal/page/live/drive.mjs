// Drives Chromium through the pages of running labs: {browser, sends: [{url,
// sends: [{caller, url, want}]}], hop, rule, late, gone}, of which the last four are
// the addresses of labs that are changed, or go away.
import { readFileSync } from 'node:fs';
import { accessible, browser, fits, has, job, picture, watched, wrong } from '../browser.mjs';
import { desk, open, phone, propose, put } from './clicks.mjs';

// hops opens what each hop of an answer kept: the heads that it got and
// sent, and the line of its access log.
async function hops(page) {
  for (const summary of await page.locator('.seen summary').all()) await summary.click();
  const stop = (name) => page.locator('.seen .stop', { hasText: name });
  for (const [name, ...texts] of [
    ['Alb', 'GET / HTTP/1.1', 'X-Amzn-Trace-Id: Root=', 'HTTP/1.1 200 OK', 'access log: the lab\'s load balancer writes none'],
    ['agent of AppService', 'x-envoy-expected-rq-timeout-ms: 15000', 'x-envoy-upstream-service-time: ', 'response_code', 'request_id'],
    ['app of AppService', 'x-request-id: ', 'X-Hoplab-App: ', 'request_time'],
  ]) for (const text of texts) await has(page, `what ${name} kept`, '.seen .stop', new RegExp(`^\\s*${name}[^]*${escaped(text)}`), 1000);
  const id = /request_id\s*([-0-9a-f]{36})/.exec(await stop('agent of AppService').first().innerText())?.[1];
  if (!id || !(await stop('Alb').first().innerText()).includes(id)) wrong(`the agent's log has the request ${id}, which is not what the load balancer got`);
}

// rests wants the map to move, and to stop within the five seconds that WCAG 2.2.2
// lets it: a page that moves for ever distracts, and takes a fifth of a core.
async function rests(page) {
  const [moved, rested] = await page.evaluate(async () => {
    const moving = document.getAnimations(), late = new Promise((done) => setTimeout(done, 5000, 'late'));
    return [moving.length, await Promise.race([Promise.all(moving.map((a) => a.finished)), late]) !== 'late'];
  });
  if (moved === 0) wrong('the map of a page that may move stands still');
  if (!rested) wrong('the map still moves after 5 s');
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

// Requests by clicking, while another window watches.
for (const given of job.sends ?? []) {
  const a = await open(given.url, desk), b = await open(given.url, { ...phone, bypassCSP: true });
  for (const s of given.sends) {
    await put(a, s);
    await a.locator('.requests button').first().click(); // the next answer is a new one
    if (await a.locator('.seen').count()) wrong('an answer stays beside another request');
  }
  await has(b, 'the other browser', '.live', /client agent of [^:]+: \d/, 15_000);
  await fits(b, 'a phone');
  await accessible(b, 'a phone');
  await rests(await open(given.url, { ...desk, reducedMotion: 'no-preference' }));
}

// The needless hop, and the change that takes it away.
if (job.hop) {
  const a = await open(job.hop, { ...desk, colorScheme: 'dark', bypassCSP: true });
  const ask = { caller: 'an admitted caller', url: 'http://Alb/', want: ['status 200', 'agent of AppService', 'app of AppService', 'redirected inside the task', 'As predicted'] };
  await put(a, ask);
  await hops(a);
  await picture(a, 'hops');
  await accessible(a, 'a request that arrived');
  await propose(a, 'AppService', 'ingressPortOverride', '8080');
  await has(a, 'the forecast', '.forecast .diff', '+ ServiceConnectConfiguration.Services[0].IngressPortOverride: 8080');
  await has(a, 'the forecast', '.forecast .effects', 'client → alb → agent → app ⟶ client → alb → app');
  await a.getByRole('button', { name: 'CloudFormation' }).click();
  await has(a, 'as CloudFormation', '.copyas pre', 'IngressPortOverride: 8080');
  await accessible(a, 'a forecast');
  await picture(a, 'change');
  await a.getByRole('button', { name: 'Apply to the lab' }).click();
  await has(a, 'applied', '.changed', 'none → 8080');
  await a.locator('.rolling').waitFor({ state: 'detached', timeout: 90_000 });
  await put(a, { ...ask, want: ['status 200', 'app of AppService', 'As predicted'], not: ['agent of AppService'] });
  // What is shown becomes a file that stands alone.
  const [download] = await Promise.all([a.waitForEvent('download'), a.getByRole('button', { name: /^Save what is shown/ }).click()]);
  const path = `${await download.path()}.html`; // by its name a file is a page
  await download.saveAs(path);
  if (!readFileSync(path, 'utf8').startsWith('<!doctype html>')) wrong('what was saved is no page');
  const file = await watched('the file', 'file:', desk);
  await file.goto('file://' + path);
  await has(file, 'the file', '.seen', 'status 200');
  await has(file, 'the file', '.changed', 'none → 8080');
  if (await file.locator('.offers, .live, .changed button:visible').count()) wrong('the file offers what only a lab can do');
  await picture(file, 'share');
}

// A rule that is taken away in one window and given back in the other.
if (job.rule) {
  const a = await open(job.rule, desk), b = await open(job.rule, { ...phone, bypassCSP: true });
  const ask = { caller: 'client-service', url: 'http://app.sample-namespace/' };
  await propose(a, 'AppService', 'AppSg ingress: tcp 8080', '');
  await has(a, 'the forecast', '.forecast .effects', '504 from the client agent');
  if (await b.locator('.changed').count()) wrong('a forecast changed the lab');
  await a.getByRole('button', { name: 'Apply to the lab' }).click();
  await has(b, 'the other browser', '.changed', '8080 → none');
  await put(a, { ...ask, want: ['upstream request timeout', 'fast-forwarded', 'As predicted'] });
  await picture(a, 'timeout');
  await b.locator('button.host', { hasText: 'AppService' }).first().click();
  await fits(b, 'a phone with a change');
  await accessible(b, 'a phone with a change');
  await picture(b, 'changed');
  await b.getByRole('button', { name: 'Undo the last change' }).click();
  await b.getByRole('button', { name: 'Take it back' }).click();
  await a.locator('.changed').waitFor({ state: 'detached', timeout: 30_000 });
  await put(a, { ...ask, want: ['status 200', 'Hello World', 'As predicted'] });
  await propose(a, 'AppService', 'desired count', '99');
  await has(a, 'a count that is too high', '[role=alert]', 'expected a count from 0 to 20');
}

// News of a change that comes before its model.
if (job.late) {
  const a = await open(job.late, desk), b = await open(job.late, phone);
  await propose(a, 'app-service', 'desired count', '3');
  await a.getByRole('button', { name: 'Apply to the lab' }).click();
  await has(b, 'a browser that hears of a change early', '.changed', '→ 3', 15_000);
}

// A lab that goes away is said to, and its counters come when it is back.
if (job.gone) {
  const a = await open(job.gone, desk);
  await a.locator('button.host', { hasText: 'app-service' }).first().click();
  await a.getByRole('button', { name: 'Kill a task of it' }).click();
  await has(a, 'a lab that went away', '.live [role=alert]', 'the lab went away', 15_000);
  await a.locator('.live [role=alert]').waitFor({ state: 'detached', timeout: 30_000 }).catch(() => wrong('the lab is back, and the page does not say so'));
  await has(a, 'a lab that is back', '.live', 'app of app-service: 7', 15_000);
  await has(a, 'a lab that is back', '.timeline', 'the lab answers again', 15_000);
}
await browser.close();
