// The provider answers with a form that the browser posts from another site: SameSite decides what comes along.
import { is, ok, scenario, settings, signIn } from './chromium.mjs';

const { site } = settings;

await scenario('form_post', async ({ page, context, complaints }) => {
  const callbacks = [];
  page.on('request', (request) => { if (request.url().startsWith(`${site}/oidc_callback`)) callbacks.push(request); });
  await page.goto(`${site}/a%20b?x=1`);
  const ticket = (await context.cookies(site)).find(({ name }) => name.includes('NGX_OIDC_LOGIN_'));
  is(`${ticket?.sameSite} ${ticket?.secure} ${ticket?.httpOnly}`, 'None true true', 'form_post: the browser keeps the ticket, for posts of other sites too');
  await signIn(page);
  await page.waitForURL(`${site}/a%20b?x=1`);
  is(await page.textContent('h1'), 'Hello, alice', 'form_post: signed in, at the page that was asked for');
  is(callbacks.length, 1, 'form_post: one callback');
  is(callbacks[0]?.method(), 'POST', 'form_post: by POST');
  const headers = await callbacks[0].allHeaders();
  is(headers['sec-fetch-site'], 'cross-site', 'form_post: from another site');
  ok(headers.cookie?.includes('NGX_OIDC_LOGIN_'), 'form_post: the ticket came along');
  ok(!/[?&](code|state)=/.test(callbacks[0].url()), 'form_post: nothing is in the address');
  const session = (await context.cookies(site)).find(({ name }) => name === 'NGX_OIDC_SESSION');
  is(session?.sameSite, 'Lax', 'form_post: the session stays where other sites cannot use it');
  is((await context.cookies(site)).filter(({ name }) => name.includes('LOGIN')).length, 0, 'form_post: the ticket is gone');
  await page.reload();
  is(await page.textContent('h1'), 'Hello, alice', 'form_post: a reload stays signed in');
  is(complaints.join('; '), '', 'form_post: the console has no complaint');
});
