// What the programs that drive Chromium share: they read a job with {browser}
// as JSON from their input, and print what is wrong, one JSON text a line.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export const job = JSON.parse(readFileSync(0, 'utf8'));
export const browser = await chromium.launch({ executablePath: job.browser, args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
export const wrong = (text) => console.log(JSON.stringify(text));

// watched opens a window in which anything that the console says, that fails, or
// that asks somebody else than origin, is wrong.
export async function watched(where, origin, options) {
  const page = await (await browser.newContext({ reducedMotion: 'reduce', ...options })).newPage();
  page.on('console', (m) => m.text().includes('net::ERR_') || wrong(`${where}: the console says ${m.text()}`));
  page.on('pageerror', (e) => wrong(`${where}: ${e.message}`));
  page.on('request', (r) => [origin, 'data:', 'blob:'].some((o) => r.url().startsWith(o)) || wrong(`${where}: asks for ${r.url()}`));
  return page;
}

// accessible runs axe, which needs a window whose policy lets it in (bypassCSP).
export async function accessible(page, where) {
  await page.addScriptTag({ content: axe });
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  for (const v of violations) wrong(`${where}: axe, ${v.impact}: ${v.help}: ${v.nodes.map((n) => n.html.slice(0, 120)).slice(0, 3).join(' | ')}`);
}

// fits wants nothing to run out of the page.
export async function fits(page, where) {
  const [is, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  if (is > room) wrong(`${where}: the page is ${is} wide in ${room}`);
}

// has waits for a text in what the selector finds.
export async function has(page, where, selector, text, timeout = 60_000) {
  await page.locator(selector, { hasText: text }).first().waitFor({ timeout }).catch(async () => {
    const got = await page.locator(selector).allInnerTexts();
    wrong(`${where}: no ${JSON.stringify(text)} in ${JSON.stringify(got)}`);
  });
}

// picture keeps how a window looks, at a desk's and a phone's width in both themes,
// where HOPLAB_PICTURES names a directory.
export async function picture(page, name) {
  if (!process.env.HOPLAB_PICTURES) return;
  const size = page.viewportSize(), theme = await page.evaluate(() => (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: size.height });
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${process.env.HOPLAB_PICTURES}/${name}-${colorScheme}-${width}.png`, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: theme });
  await page.setViewportSize(size);
}
