// Drives Chromium through pages that page_test.go wrote. Reads {browser, pages:
// [{name, file, asks, views, …}]} as JSON from its input and prints a list of
// what is wrong, one JSON text a line. An ask is a caller, a URL to type, the
// texts that the answer must have, and the security group that is drawn closed.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await chromium.launch({ executablePath: job.browser, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
const wrong = (text) => console.log(JSON.stringify(text));

// Every width in both themes; of a page that has views only those, by their place here.
const views = [[390, 'dark'], [1280, 'light'], [1280, 'dark'], [390, 'light']];

for (const given of job.pages) {
  for (const [width, colorScheme] of given.views ? views.slice(...given.views) : views) {
    const where = `${given.name} at ${width}, ${colorScheme}`;
    // A page whose own policy is in force is driven; axe needs one without.
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, reducedMotion: 'reduce' });
    const page = await context.newPage();
    page.on('console', (m) => wrong(`${where}: the console says ${m.text()}`));
    page.on('pageerror', (e) => wrong(`${where}: ${e.message}`));
    page.on('request', (r) => r.url().startsWith('file:') || r.url().startsWith('data:') || wrong(`${where}: asks for ${r.url()}`));
    const begun = Date.now();
    await page.goto('file://' + given.file);
    await page.locator('.host').first().waitFor();
    const took = Date.now() - begun;
    if (given.within && took > given.within) wrong(`${where}: the first map took ${took} ms`);
    for (const text of await page.evaluate(measure)) wrong(`${where}: ${text}`);
    for (const ask of given.asks ?? []) await put(page, where, ask);
    if (given.picture && width === 1280 && colorScheme === 'light') await page.screenshot({ path: given.picture });
    if (given.keyboard && width === 1280) await keyboard(page, where);
    await context.close();
    if (!given.views || given.views[0] % 2 === 0) await accessible(given, width, colorScheme, where);
  }
}
await browser.close();

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

async function accessible(given, width, colorScheme, where) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, reducedMotion: 'reduce', bypassCSP: true });
  const page = await context.newPage();
  await page.goto('file://' + given.file);
  await page.locator('.host').first().waitFor();
  await page.addScriptTag({ content: axe });
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  for (const v of violations) wrong(`${where}: axe, ${v.impact}: ${v.help}: ${v.nodes.map((n) => n.html.slice(0, 120)).slice(0, 3).join(' | ')}`);
  await context.close();
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
