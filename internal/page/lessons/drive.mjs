// Drives Chromium through the lessons: {url} is the page's address.
import { accessible, browser, fits, has, job, picture, watched, wrong } from '../browser.mjs';

async function open(options) {
  const page = await watched('the lessons', new URL(job.url).origin, options);
  await page.goto(job.url);
  await page.locator('.gallery').first().waitFor();
  return page;
}

// A lesson to its end: predicted on the map and by its choices, run, judged.
const a = await open({ viewport: { width: 1280, height: 900 }, bypassCSP: true });
await accessible(a, 'the list');
await a.getByRole('button', { name: 'The hop that nobody asked for' }).click();
await a.locator('.host').first().waitFor();
await a.locator('.host', { hasText: 'AppService' }).locator('.part', { hasText: 'container' }).click();
if (!(await a.getByRole('radio', { name: 'the app of AppService' }).isChecked())) wrong('a click on the app does not choose it');
await a.getByRole('radio', { name: /^No\./ }).check();
await accessible(a, 'a question');
await a.getByRole('button', { name: 'Run it and see' }).click();
await has(a, 'needless-hop', '.judged', 'Not as you predicted: Yes. The agent takes what comes', 120_000);
await has(a, 'needless-hop', '.judged', 'You saw where it ends: the app of AppService');
await has(a, 'needless-hop', '.act', 'client → alb → agent → app');
await accessible(a, 'a lesson that ran');
await picture(a, 'lesson');
await a.getByRole('button', { name: 'The next lesson' }).click();
await has(a, 'the next lesson', 'h1', 'What an override changes');

// One that AWS refuses, and a situation, on a phone in the dark.
const b = await open({ viewport: { width: 390, height: 844 }, colorScheme: 'dark', bypassCSP: true });
await picture(b, 'lessons');
await fits(b, 'the list on a phone');
await b.getByRole('button', { name: 'A port that the agent may not have' }).click();
await b.getByRole('radio', { name: 'The deployment is refused' }).check();
await b.getByRole('button', { name: 'Run it and see' }).click();
await has(b, 'privileged-port', '.judged', 'As you predicted: The deployment is refused', 120_000);
await b.getByRole('button', { name: 'All lessons and situations' }).click();
await b.getByRole('button', { name: /^without-service-connect:/ }).click();
await b.locator('.host').first().waitFor();
await fits(b, 'a situation on a phone');
await accessible(b, 'a situation on a phone');
await b.getByRole('radio', { name: 'a task without Service Connect' }).check();
await b.getByRole('button', { name: 'Run it and see' }).click();
await has(b, 'the situation', '.judged', 'You saw where it ends: a task without Service Connect', 120_000);
await has(b, 'the situation', '.act', 'Could not resolve host');
await fits(b, 'a situation that ran on a phone');
await picture(b, 'situation');
await browser.close();
