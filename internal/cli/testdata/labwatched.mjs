// Opens and closes the page of a lab in Chromium, whose path is the argument, as
// it is told: a line with an address opens that and is answered with an empty one;
// any other is a text that the page is to show soon, before it is closed, and is
// answered with what it shows instead, or nothing. It ends with its input.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const { chromium } = createRequire(import.meta.url)('playwright-core');
const browser = await chromium.launch({ executablePath: process.argv[2], args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
let page;
for await (const line of createInterface({ input: process.stdin })) {
  let instead = '';
  if (line.startsWith('http:')) {
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    await page.goto(line);
    await page.locator('.live').waitFor();
  } else {
    const shown = page.locator('.live li');
    await shown.filter({ hasText: new RegExp(`^${line}$`) }).waitFor({ timeout: 15_000 })
      .catch(async () => { instead = JSON.stringify(await shown.allInnerTexts()); });
    await page.close();
  }
  console.log(instead);
}
await browser.close();
