// Opens a page in Chromium again and again: {browser, file, times, view}. Prints
// for each time a line with the ms from the navigation's start to the frame in
// which the map is drawn.
import { browser, job } from './browser.mjs';

for (let i = 0; i < job.times; i++) {
  const page = await (await browser.newContext(job.view)).newPage();
  await page.addInitScript(() => {
    window.drawn = new Promise((done) => {
      new MutationObserver((_, watch) => {
        if (!document.querySelector('.host')) return;
        watch.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
      }).observe(document, { childList: true, subtree: true });
    });
  });
  await page.goto('file://' + job.file);
  console.log(await page.evaluate(() => window.drawn));
  await page.context().close();
}
await browser.close();
