// A page that watches the user's session at the provider through our frame.
import { is, ok, ourCookies, scenario, settings } from './chromium.mjs';

const { site, issuer } = settings;
const polls = (requests) => requests.filter(({ url }) => url.startsWith(`${issuer}/session_state`)).length;
const told = (page) => page.evaluate(() => window.told);

await scenario('signed out at the provider', async ({ page, context, requests, complaints }) => {
  await page.goto(`${site}/page`);
  await page.waitForFunction(() => window.told.length > 0);
  is((await told(page)).join(), 'unchanged', 'the frame finds the session at the provider');
  ok(polls(requests) > 0, 'the provider was asked through its own frame');
  const asked = requests.find(({ url }) => url.startsWith(`${issuer}/session_state`)).url;
  is(new URL(asked).searchParams.get('o'), site, 'by our origin');

  const other = await context.newPage();
  await other.goto(`${issuer}/end_session`);
  const before = requests.length;
  await page.waitForFunction(() => window.told.length > 1);
  is((await told(page)).join(), 'unchanged,changed', 'the page is told that it changed');
  is((await ourCookies(context)).length, 0, 'the session is over');
  const later = requests.slice(before).map(({ url }) => url).filter((url) => url.startsWith(issuer) && !url.includes('/session_state'));
  is(later.join(), '', 'and nobody was sent to the provider for it');
  is(complaints.filter((line) => !/status of 404/.test(line)).join('; '), '', 'the console has no complaint: the policies fit');
  await page.goto(`${site}/session`);
  ok((await page.textContent('body')).includes('"is_logged_in":false'), 'nobody is signed in any more');
});

await scenario('a browser that shows the provider no cookie', async ({ page, context, requests }) => {
  await page.goto(`${site}/page`);
  await page.waitForFunction(() => window.told.length > 0);
  const other = await context.newPage();
  await other.goto(`${issuer}/end_session`);
  await other.goto(`${site}/page`);
  await other.waitForFunction(() => window.told.length > 0);
  is((await told(other)).join(), 'unknown', 'changed from the first answer on: that says nothing');
  ok(polls(requests) > 1, 'asked');
  is((await ourCookies(context)).length, 1, 'and the session stays');
});
