// Drives Chromium through pages that page_test.go wrote. Reads {browser, pages:
// [{name, file, asks, views, …}]} as JSON from its input and prints a list of
// what is wrong, one JSON text a line. An ask is a caller, a URL to type, the
// texts that the answer must have, and the security group that is drawn closed.
import { accessible, browser, job, watched, wrong } from './browser.mjs';

// Every width in both themes; of a page that has views only those, by their place here.
const views = [[390, 'dark'], [1280, 'light'], [1280, 'dark'], [390, 'light']];

for (const given of job.pages) {
  for (const [width, colorScheme] of given.views ? views.slice(...given.views) : views) {
    const where = `${given.name} at ${width}, ${colorScheme}`;
    // A page whose own policy is in force is driven; axe needs one without.
    const page = await watched(where, 'file:', { viewport: { width, height: 900 }, colorScheme });
    const timed = given.within ? await processor(page) : undefined;
    await page.goto('file://' + given.file);
    await page.locator('.host').first().waitFor();
    const took = await timed?.();
    if (took > given.within) wrong(`${where}: the first map took ${took} ms of the processor`);
    for (const text of await page.evaluate(measure)) wrong(`${where}: ${text}`);
    for (const ask of given.asks ?? []) await put(page, where, ask);
    if (given.picture && width === 1280 && colorScheme === 'light') await page.screenshot({ path: given.picture });
    if (given.keyboard && width === 1280) await keyboard(page, where);
    await page.context().close();
    if (!given.views || given.views[0] % 2 === 0) await looked(given, width, colorScheme, where);
  }
}
await browser.close();

// processor measures the time that the page's thread works, in ms: what the page
// takes on a machine that does nothing else, whatever else this one does.
async function processor(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' });
  const now = async () => (await devtools.send('Performance.getMetrics')).metrics.find((m) => m.name === 'TaskDuration').value * 1000;
  const begun = await now();
  return async () => Math.round(await now() - begun);
}

async function put(page, where, ask) {
  await page.getByRole('combobox', { name: 'Caller', exact: true }).selectOption({ label: ask.caller });
  await page.getByLabel('URL', { exact: true }).fill(ask.url);
  await page.getByRole('button', { name: 'Predict' }).click();
  const got = await page.locator('.right').innerText();
  for (const want of ask.want) if (!got.includes(want)) wrong(`${where}: ${ask.caller} to ${ask.url}: no ${JSON.stringify(want)} in ${JSON.stringify(got)}`);
  const gate = (await page.locator('.gate.shut').allInnerTexts()).join(' ');
  if (ask.gate && !gate.includes(ask.gate)) wrong(`${where}: ${ask.url}: the closed gate is ${JSON.stringify(gate)}, want ${ask.gate}`);
  const status = await page.getByRole('status').textContent();
  if (!status) wrong(`${where}: nothing is said of ${ask.url}`);
}

// keyboard chooses a host with the keyboard alone and wants its rules.
async function keyboard(page, where) {
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => document.activeElement.classList.contains('service'))) {
      await page.keyboard.press('Enter');
      if (!(await page.locator('#host-title').count())) wrong(`${where}: Enter on a host shows nothing of it`);
      return;
    }
  }
  wrong(`${where}: no host is reached by Tab`);
}

// looked has axe look at the page, whose own policy would keep it out.
async function looked(given, width, colorScheme, where) {
  const page = await watched(where, 'file:', { viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
  await page.goto('file://' + given.file);
  await page.locator('.host').first().waitFor();
  await accessible(page, where);
  await page.context().close();
}

// measure finds what runs out of the page or covers something else.
function measure() {
  const found = [], root = document.documentElement;
  if (document.title === 'ran') found.push('a text of the template ran');
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide in ${root.clientWidth}`);
  const hosts = [...document.querySelectorAll('.host')], boxes = hosts.map((h) => h.getBoundingClientRect());
  boxes.forEach((a, i) => {
    boxes.slice(i + 1).forEach((b, j) => {
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1) {
        found.push(`${hosts[i].textContent.slice(0, 30)} covers ${hosts[i + j + 1].textContent.slice(0, 30)}`);
      }
    });
    const inner = [...hosts[i].querySelectorAll('.row, .part, .name')].at(-1);
    if (inner && inner.getBoundingClientRect().bottom > a.bottom) found.push(`cut off at its end: ${hosts[i].textContent.slice(0, 60)}`);
  });
  const map = document.querySelector('.map').getBoundingClientRect();
  for (const b of boxes) if (b.left < map.left - 1 || b.right > map.right + 1 || b.bottom > map.bottom + 1) found.push('a host stands outside the map');
  return found;
}
