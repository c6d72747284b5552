// auth_oidc_preserve_post: a form that meets an ended session is sent again after signing in, and one of another site never is.
import { elsewhere, is, look, ok, scenario, settings, signIn } from './chromium.mjs';

const { site } = settings;
const hostile = 'Jürgen said "hi"</textarea></form><script>alert(1)</script>\r\n& <!-- \u2028 end';

// Signed in, the form filled in, and then without a session.
async function fillIn(page, context, text) {
  await page.goto(`${site}/form`);
  await signIn(page);
  await page.fill('input[name=title]', 'hunter2');
  await page.fill('textarea', text);
  await context.clearCookies({ name: 'NGX_OIDC_SESSION' });
  await Promise.all([page.waitForNavigation(), page.click('button')]);
}
const kept = (page) => page.evaluate(() => sessionStorage.getItem('auth_oidc post') ?? '');
const posts = (page) => {
  const seen = [];
  page.on('request', (request) => { if (request.method() === 'POST' && request.url().startsWith(`${site}/form`)) seen.push(request.url()); });
  return seen;
};

await scenario('a form over a sign-in', async ({ page, context, complaints }) => {
  const sent = posts(page);
  await fillIn(page, context, hostile);
  is(await page.textContent('h1'), 'Please sign in', 'post: the user is told');
  ok(await page.isVisible('text=kept in this tab'), 'post: and that it is kept', await page.textContent('main'));
  ok(!await page.isVisible('text=Keep a copy'), 'post: not that it is lost');
  const stored = await kept(page);
  ok(stored.length > 100 && !stored.includes('hunter2') && !Buffer.from(stored, 'base64').includes('hunter2'), 'post: sealed', stored);
  await look(page, 'post-kept', 1);
  // The provider knows the user still, and sends the browser back at once.
  await page.click('a.main');
  await page.waitForURL(`${site}/form?x=1&y=%2F`);
  is(await page.textContent('h1'), 'Received', 'post: it arrives after the sign-in, at its own address');
  is(await page.textContent('#fields'), JSON.stringify([['title', 'hunter2'], ['text', hostile], ['submit', 'a field'], ['dataset', 'another']]), 'post: every field as it was');
  is(await page.textContent('#user'), 'alice', 'post: in the name of the user');
  is(sent.length, 2, 'post: once before and once after');
  is(await kept(page), '', 'post: and nothing stays behind');
  is(complaints.filter((line) => !/status of 401/.test(line)).join('; '), '', 'post: the console has no complaint');
});

await scenario('somebody else', async ({ page, context }) => {
  const sent = posts(page);
  await fillIn(page, context, 'mine');
  await context.clearCookies({ domain: new URL(settings.issuer).hostname });
  await page.click('a.main');
  await signIn(page, 'bob');
  await page.waitForSelector('text=was not sent');
  is(sent.length, 1, "post: another user's form is not sent");
  await look(page, 'post-refused');
});

await scenario('a form of another site', async ({ page, context }) => {
  await page.goto(`${site}/form`);
  await signIn(page);
  await elsewhere(page);
  const sent = posts(page);
  // Lax: it comes without the cookie, and looks like a stranger's.
  await Promise.all([page.waitForNavigation(), page.evaluate((action) => {
    const form = Object.assign(document.createElement('form'), { method: 'post', action });
    form.append(Object.assign(document.createElement('input'), { name: 'title', value: 'forged' }));
    document.body.append(form);
    form.submit();
  }, `${site}/form`)]);
  is(await page.textContent('h1'), 'Please sign in', 'forged: a page');
  is(await page.evaluate(() => document.scripts.length), 0, 'forged: without a script');
  is(await kept(page), '', 'forged: nothing is kept');
  await page.click('a.main');
  await page.waitForSelector('text=Hello, alice');
  is(sent.length, 1, 'forged: and nothing is sent');
  is((await context.cookies(site)).filter(({ name }) => name.includes('LOGIN')).length, 0, 'forged: no login is left over');
});

await scenario('too large', async ({ page, context }) => {
  await fillIn(page, context, 'x'.repeat(20_000));
  ok(await page.isVisible('text=could not be kept'), 'large: the page says that it is not kept');
  is(await kept(page), '', 'large: nor is it');
  await look(page, 'post-not-kept');
});
