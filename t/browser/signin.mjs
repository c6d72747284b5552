// Signing in with a real browser: cookies as it keeps them, tabs, scripts, other sites, WebSocket.
import { elsewhere, follow, is, ok, scenario, ourCookies, settings, signIn } from './chromium.mjs';

const { site } = settings;
const secure = site.startsWith('https:');

await scenario('one sign-in', async ({ page, context, requests, complaints }) => {
  await page.goto(`${site}/a%20b?x=1&y=%2F`);
  ok(page.url().startsWith(settings.issuer), 'a stranger is at the provider', page.url());
  await signIn(page);
  is(page.url(), `${site}/a%20b?x=1&y=%2F`, 'back at the very page that was asked for');
  is(await page.textContent('h1'), 'Hello, alice', 'the application knows who came');

  const cookies = await ourCookies(context);
  is(cookies.length, 1, 'one cookie is left: the session');
  is(`${cookies[0]?.httpOnly} ${cookies[0]?.secure} ${cookies[0]?.sameSite} ${cookies[0]?.path}`, `true ${secure} Lax /`, 'its attributes');
  is(await page.evaluate(() => document.cookie), '', 'no script sees a cookie of ours');
  ok(requests.every(({ url }) => [site, settings.issuer].includes(new URL(url).origin) || url.startsWith('data:')), 'nobody else was asked for anything');
  is(complaints.join('; '), '', 'the console has no complaint');

  await page.reload();
  is(await page.textContent('h1'), 'Hello, alice', 'a reload stays signed in');
  const tab = await context.newPage();
  await tab.goto(`${site}/second`);
  is(await tab.textContent('h1'), 'Hello, alice', 'so is a second tab');
  await page.goBack();
  await page.goto(`${site}/after-back`);
  is(await page.textContent('h1'), 'Hello, alice', 'and the back button does no harm');
});

await scenario('several tabs', async ({ page, context }) => {
  const tabs = [page, await context.newPage(), await context.newPage()];
  for (const [i, tab] of tabs.entries()) {
    await tab.goto(`${site}/tab${i}`);
  }
  for (const [i, tab] of tabs.entries()) {
    await signIn(tab);
    is(tab.url(), `${site}/tab${i}`, `tab ${i} ends at its own page`);
  }
  is((await ourCookies(context)).length, 1, 'one cookie is left');
});

await scenario('scripts', async ({ page, context }) => {
  await page.goto(`${site}/`);
  await signIn(page);
  const ask = () => page.evaluate(async () => {
    const reply = await fetch('/headers');
    return { status: reply.status, type: reply.headers.get('content-type'), body: await reply.json() };
  });
  is((await ask()).body['x-user'], 'alice', 'a script asks in the name of the user');
  await context.clearCookies();
  const refused = await ask();
  is(refused.status, 401, 'without a session it is told so, and not sent elsewhere');
  is(refused.body.error, 'login_required', 'in words for programs');
  const login = new URL(refused.body.login_url, site);
  is(login.origin, site, 'with the address to sign in at');
  await page.goto(login.href);
  await signIn(page);
  is(new URL(page.url()).origin, site, 'which works');
});

// SameSite, as the browser applies it.
await scenario('other sites', async ({ page }) => {
  await page.goto(`${site}/`);
  await signIn(page);
  await elsewhere(page);
  await follow(page, `${site}/linked`);
  is(await page.textContent('h1'), 'Hello, alice', 'a link from another site arrives signed in');

  await elsewhere(page);
  const [answer] = await Promise.all([page.waitForNavigation(), page.evaluate((action) => {
    const form = Object.assign(document.createElement('form'), { method: 'post', action });
    document.body.append(form);
    form.submit();
  }, `${site}/posted`)]);
  is(answer.status(), 401, 'a form that another site posts comes without the session, and is not let in');
  ok(!(await page.content()).includes('Hello'), 'nor does the application see it');
});

await scenario('WebSocket', async ({ page, context }) => {
  await page.goto(`${site}/socket`);
  await signIn(page);
  const said = async () => {
    await page.waitForFunction(() => document.querySelector('#said').textContent !== 'waiting');
    return page.textContent('#said');
  };
  is(await said(), 'alice said hello; cookies: none', 'a socket is opened in the name of the user, without our cookies');
  // The page itself would be refused too, so it is served from what was read before.
  const body = await page.evaluate(async () => (await fetch('/socket')).text());
  await context.route('**/socket', (route) => route.fulfill({ body, contentType: 'text/html' }));
  await context.clearCookies();
  await page.reload();
  is(await said(), 'refused', 'without a session it is refused');
});
