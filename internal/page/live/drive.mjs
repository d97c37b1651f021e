// Drives Chromium through the pages of running labs. Reads {browser, pages:
// [{url, sends: [{caller, url, want}]}]} as JSON from its input and prints what
// is wrong, one text a line.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const job = JSON.parse(readFileSync(0, 'utf8'));
const browser = await chromium.launch({ executablePath: job.browser, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });

for (const given of job.pages) {
  const origin = new URL(given.url).origin;
  const open = async (viewport, bypassCSP) => {
    const page = await (await browser.newContext({ viewport, reducedMotion: 'reduce', bypassCSP })).newPage();
    page.on('console', (m) => console.log(`the console says ${m.text()}`));
    page.on('pageerror', (e) => console.log(e.message));
    page.on('request', (r) => r.url().startsWith(origin) || r.url().startsWith('data:') || console.log(`asks for ${r.url()}`));
    await page.goto(given.url);
    await page.locator('.live').waitFor();
    return page;
  };
  const desk = await open({ width: 1280, height: 900 }, false), phone = await open({ width: 390, height: 844 }, true);
  for (const s of given.sends) {
    await desk.getByRole('combobox', { name: 'Caller', exact: true }).selectOption({ label: s.caller });
    await desk.getByLabel('URL', { exact: true }).fill(s.url);
    await desk.getByRole('button', { name: 'Send' }).click();
    await desk.locator('.seen').waitFor({ timeout: 60_000 });
    const got = await desk.locator('.seen').innerText();
    for (const want of s.want) if (!got.includes(want)) console.log(`${s.url}: no ${JSON.stringify(want)} in ${JSON.stringify(got)}`);
    await desk.getByRole('button', { name: 'Send' }).waitFor();
    await desk.locator('.requests button').first().click(); // the next answer is a new one
    if (await desk.locator('.seen').count()) console.log('an answer stays beside another request');
  }
  // What one browser sent the other sees counted.
  await phone.locator('.live', { hasText: /client agent of [^:]+: \d/ }).waitFor({ timeout: 15_000 }).catch(() => console.log('the other browser sees nothing counted'));
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
  if (wide > 390) console.log(`the page is ${wide} wide on a phone`);
  await phone.addScriptTag({ content: axe });
  const { violations } = await phone.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  for (const v of violations) console.log(`axe, ${v.impact}: ${v.help}: ${v.nodes.map((n) => n.html.slice(0, 120)).slice(0, 3).join(' | ')}`);
}
await browser.close();
