// Opens and closes the page of a lab in Chromium, whose path is the argument, as
// it is told: a line with an address opens that, once the last was closed, and is
// answered with an empty line; an empty one asks for the numbers of requests that
// the page shows, closes it, and is answered with them. It ends with its input.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const { chromium } = createRequire(import.meta.url)('playwright-core');
const browser = await chromium.launch({ executablePath: process.argv[2], args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
let page;
for await (const address of createInterface({ input: process.stdin })) {
  if (address) {
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    await page.goto(address);
    await page.locator('.live').waitFor();
    console.log();
  } else {
    const shown = await page.locator('.live li').allInnerTexts();
    await page.close();
    console.log(JSON.stringify(shown));
  }
}
await browser.close();
