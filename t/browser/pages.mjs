// The pages that a person sees, at the width of a phone and of a desk, in light and in dark.
import { elsewhere, follow, is, look, ok, scenario, ourCookies, settings, signIn } from './chromium.mjs';

const { site } = settings;

await scenario('error page', async ({ page, complaints }) => {
  const answer = await page.goto(`${site}/oidc_callback?code=made-up&state=${'s'.repeat(43)}`);
  is(answer.status(), 400, 'a callback that nobody began is an error of the browser');
  await look(page, 'error');
  is(complaints.filter((line) => !/status of 400/.test(line)).join('; '), '', 'error: the console has no complaint');
  await page.click('a, button');
  await signIn(page);
  is(await page.textContent('h1'), 'Hello, alice', 'error: its link leads to a sign-in that works');
});

await scenario('refused at the provider', async ({ page }) => {
  await page.goto(`${site}/`);
  const [answer] = await Promise.all([page.waitForNavigation({ url: (url) => url.origin === site }), page.click('button[name=cancel]')]);
  is(answer.status(), 403, 'a user who says no gets a page');
  await look(page, 'denied');
});

await scenario('logout', async ({ page, context, complaints }) => {
  await page.goto(`${site}/`);
  await signIn(page);
  await elsewhere(page);
  await follow(page, `${site}/logout`);
  is((await ourCookies(context)).length, 1, 'a link from elsewhere signs nobody out');
  await look(page, 'logout-confirmation');
  await Promise.all([page.waitForNavigation(), page.click('button')]);
  is((await ourCookies(context)).length, 0, 'the button does');
  ok(page.url().startsWith(settings.issuer), 'and leads on to the provider, which asks for itself', page.url());
  await Promise.all([page.waitForNavigation(), page.click('button[name=logout]')]);
  is(await page.textContent('h1'), 'You have signed out of the provider', 'where the session ends too');

  await page.goto(`${site}/logout`);
  await look(page, 'signed-out');
  is(complaints.filter((line) => !/status of 40\d/.test(line)).join('; '), '', 'logout: the console has no complaint');
  await Promise.all([page.waitForURL((url) => url.origin === settings.issuer), page.click('a, button')]);
  ok(await page.isVisible('input[name=login]'), 'signed out: its link leads to the provider, which asks who it is');
});
