// An unmodified Streamlit application behind nginx: what st.login(), st.user and st.logout() do in a real browser.
import { is, ok, ourCookies, picture, scenario, settings, signIn } from './chromium.mjs';

const { site, base, button, provider, choice, tokens } = settings;
const start = `${site}${base}/`;
const hello = 'Hello, Alice Liddell!';
const shows = (page, text) => page.getByText(text, { exact: true }).first().waitFor();
const press = (page, name) => page.getByRole('button', { name, exact: true }).click();

// The page's WebSockets, so that a test can break one.
const watch = (page) => page.addInitScript(() => {
  window.sockets = [];
  const Native = window.WebSocket;
  window.WebSocket = class extends Native { constructor(...args) { super(...args); window.sockets.push(this); } };
});

async function enter(page) {
  await page.goto(start);
  if (choice) {
    await page.getByRole('link', { name: choice }).click();
  } else {
    await shows(page, 'Hello, stranger!');
    await press(page, button);
  }
  await page.waitForURL((url) => url.origin !== site);
  await signIn(page);
  await shows(page, hello);
}

await scenario('streamlit', async ({ page, context, complaints }) => {
  await watch(page);
  await enter(page);
  is(page.url(), start, 'signed in, at the page where the button was');
  await shows(page, `email=alice@example.test groups=staff,readers provider=${provider}`);
  await shows(page, `tokens=${tokens}.`);
  ok(true, 'the application has the claims, lists among them, and the tokens that the file exposes');
  await page.screenshot({ path: picture(`streamlit-${provider}`) });

  await press(page, 'Count');
  await shows(page, 'count=1.');
  ok(true, 'a rerun keeps user and state');
  const before = await page.evaluate(() => window.sockets.length);
  await page.evaluate(() => window.sockets.at(-1).close());
  await page.waitForFunction((count) => window.sockets.length > count && window.sockets.at(-1).readyState === 1, before);
  await press(page, 'Count');
  await shows(page, 'count=2.');
  await shows(page, hello);
  ok(true, 'so does a reconnect of the WebSocket');
  await page.reload();
  await shows(page, hello);
  ok(true, 'a reload stays signed in');
  const tab = await context.newPage();
  await tab.goto(start);
  await shows(tab, hello);
  ok(true, 'so is a second tab');
  is((await context.cookies(start)).filter(({ name }) => name.startsWith('_streamlit_user')).length, 0, 'the browser holds no identity of Streamlit');
  ok((await ourCookies(context)).length > 0, 'but our session');

  await press(page, 'Log out');
  await page.waitForURL((url) => url.origin !== site);
  await page.click('button[name=logout]');
  await page.waitForURL((url) => url.href === start || (choice && url.origin === site));
  if (choice) {
    await page.getByRole('link', { name: choice }).waitFor();
  } else {
    await shows(page, 'Hello, stranger!');
  }
  ok(true, 'signed out here and at the provider, and back at the application');
  is((await ourCookies(context)).filter(({ name }) => /SESSION/.test(name)).length, 0, 'with no session left');
  await tab.reload();
  await (choice ? tab.getByRole('link', { name: choice }) : tab.getByText('Hello, stranger!')).first().waitFor();
  ok(true, 'the second tab knows it at its next connection');
  is(complaints.filter((line) => !/status of 40\d|WebSocket/.test(line)).join('; '), '', 'the console has no complaint');
});

if (!choice) {
  await scenario('a made-up identity', async ({ page, context }) => {
    await context.addCookies([{ name: '_streamlit_user', value: settings.forged, url: start }]);
    await page.goto(start);
    await shows(page, 'Hello, stranger!');
    ok(true, 'a cookie that Streamlit itself would take does not get there');
  });
}
