// What people do on the page of a running lab, by clicking.
import { watched, wrong } from '../browser.mjs';

export const desk = { viewport: { width: 1280, height: 900 } }, phone = { viewport: { width: 390, height: 844 } };

// open opens the page. before, if given, is run in the window before the page is.
export async function open(url, options, before) {
  const page = await watched(`${url} at ${options.viewport.width}`, new URL(url).origin, options);
  if (before) await page.addInitScript(before);
  await page.goto(url);
  await page.locator('.live').waitFor();
  return page;
}

// put sends a request: {caller, url, want, not} are texts that the answer has, or has not.
export async function put(page, s) {
  await page.getByRole('combobox', { name: 'Caller', exact: true }).selectOption({ label: s.caller });
  await page.getByLabel('URL', { exact: true }).fill(s.url);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.locator('.seen').waitFor({ timeout: 60_000 });
  const got = await page.locator('.seen').innerText();
  for (const want of s.want) if (!got.includes(want)) wrong(`${s.url}: no ${JSON.stringify(want)} in ${JSON.stringify(got)}`);
  for (const not of s.not ?? []) if (got.includes(not)) wrong(`${s.url}: ${JSON.stringify(not)} in ${JSON.stringify(got)}`);
  await page.getByRole('button', { name: 'Send', exact: true }).waitFor();
}

// propose looks ahead to a change of a host: what its form has as label becomes value.
export async function propose(page, host, label, value) {
  if (!(await page.locator('#offers-title', { hasText: host }).count())) await page.locator('button.host', { hasText: host }).first().click();
  const form = page.locator('.offers form').filter({ hasText: label });
  if (value === '') await form.getByRole('button', { name: /^Without/ }).click();
  else {
    await form.getByRole('textbox').fill(value);
    await form.getByRole('button', { name: /^Try/ }).click();
  }
  await page.locator('.forecast, .differs[role=alert]').first().waitFor();
}
