// Front-Channel Logout 1.0 in a real frame: the provider's page may show it, nobody else's.
import { is, ok, ourCookies, scenario, settings, signIn } from './chromium.mjs';

const { site, issuer, plain } = settings;
const address = `${site}/frontchannel?iss=${encodeURIComponent(issuer)}`;

// A page of that origin gets our address in a frame.
async function frameAt(page, origin) {
  await page.goto(`${origin}/elsewhere`);
  const [answer] = await Promise.all([page.waitForResponse((one) => one.url() === address),
    page.evaluate((src) => document.body.append(Object.assign(document.createElement('iframe'), { src })), address)]);
  const frame = await (await page.waitForSelector('iframe')).contentFrame();
  return { answer, frame };
}

await scenario('front channel', async ({ page, complaints }) => {
  await page.goto(`${site}/`);
  await signIn(page);
  const { answer, frame } = await frameAt(page, issuer);
  is(answer.status(), 200, 'front channel: the frame is answered');
  await frame.waitForFunction(() => document.title === 'Signed out');
  ok(true, 'front channel: the provider may show it');
  is(complaints.filter((line) => !/status of 404/.test(line)).join('; '), '', 'front channel: the console has no complaint');
});

// Browsers give a frame of another site no cookies any more: there iss and sid have to do. One of the same site has them.
await scenario('a frame of the same site', async ({ page, context }) => {
  await page.goto(`${site}/`);
  await signIn(page);
  is((await ourCookies(context)).length, 1, 'front channel: signed in');
  await frameAt(page, issuer.replace('localhost', '127.0.0.1'));
  is((await ourCookies(context)).length, 0, 'front channel: by the cookie, which is gone afterwards');
  const status = await page.goto(`${site}/headers`).then((answer) => answer.request().redirectedFrom() !== null);
  ok(status, 'front channel: the next visit begins with a sign-in');
});

await scenario('a link', async ({ page, context }) => {
  await page.goto(`${site}/`);
  await signIn(page);
  const answer = await page.goto(address);
  is(answer.status(), 200, 'front channel: a visit that is no frame is answered too');
  is((await ourCookies(context)).length, 1, 'front channel: but signs nobody out');
});

await scenario('a frame of somebody else', async ({ page, complaints }) => {
  const { frame } = await frameAt(page, plain);
  ok(await frame.title().catch(() => '') !== 'Signed out', 'front channel: no other site may show it');
  ok(complaints.some((line) => /frame-ancestors|frame/.test(line)), 'front channel: the browser says why', complaints.join('; '));
});
