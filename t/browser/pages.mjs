// The pages that a person sees, at the width of a phone and of a desk, in light and in dark.
import { elsewhere, follow, is, look, ok, picture, scenario, ourCookies, settings, signIn } from './chromium.mjs';

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

await scenario('several providers', async ({ page, complaints }) => {
  const answer = await page.goto(`${site}/choice?x=1`);
  is(answer.status(), 401, 'two providers: a page to choose from, in place');
  await look(page, 'choice');
  is(complaints.filter((line) => !/status of 401/.test(line)).join('; '), '', 'choice: the console has no complaint');
  await page.click('text=Another Provider');
  ok(page.url().startsWith(settings.issuer), 'choice: a button leads to its provider', page.url());
});

await scenario('many providers', async ({ page }) => {
  await page.goto(`${site}/many`);
  await look(page, 'many');
  const buttons = await page.locator('main a').allTextContents();
  is(buttons.length, 6, 'many: a button each');
  is(buttons[5].trim(), 'Sign in with <b>&amp;</b> "Sons"', 'many: names are text and no HTML');
  const reached = [];
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.textContent));
  }
  is(reached.join(), buttons.join(), 'many: the keyboard reaches each in turn');
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  ok(ring !== 'none', 'many: and shows where it is', ring);
});

await scenario('a provider that is away', async ({ page }) => {
  const answer = await page.goto(`${site}/away`);
  is(answer.status(), 503, 'a provider that is away: a page');
  await look(page, 'unavailable');
});

await scenario('a page for others', async ({ page }) => {
  await page.goto(`${site}/staff`);
  await signIn(page);
  is((await page.reload()).status(), 403, 'a rule turns alice away, in place');
  await look(page, 'turned-away');
});

await scenario('a form and a frame without a session', async ({ page, context }) => {
  await page.goto(`${site}/`);
  await signIn(page);
  await context.clearCookies();
  await page.evaluate((src) => document.body.append(Object.assign(document.createElement('iframe'), { src, width: 340, height: 420 })), `${site}/framed`);
  const frame = await (await page.waitForSelector('iframe')).contentFrame();
  await frame.waitForSelector('h1');
  await page.screenshot({ path: picture('framed') });
  await Promise.all([page.waitForNavigation(), frame.click('a')]);
  ok(page.url().startsWith(settings.issuer), 'in a frame: a link that takes the whole window', page.url());

  await signIn(page);
  await context.clearCookies();
  await Promise.all([page.waitForNavigation(), page.evaluate(() => {
    const form = Object.assign(document.createElement('form'), { method: 'post', action: '/sent' });
    document.body.append(form);
    form.submit();
  })]);
  is(await page.textContent('h1'), 'Please sign in', 'a form that was sent: a page that says so');
  await look(page, 'form');
});

await scenario('a browser that keeps no session', async ({ page, context }) => {
  for (let round = 0; round < 3; round++) {
    await page.goto(`${site}/`);
    await (round === 0 ? signIn(page) : page.waitForURL((url) => url.origin === site));
    await context.clearCookies({ name: 'NGX_OIDC_SESSION' });
  }
  await page.goto(`${site}/`);
  ok(/NGX_OIDC_SESSION/.test(await page.textContent('main')), 'after three rounds: a page that names the cookie');
  await look(page, 'loop');
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
