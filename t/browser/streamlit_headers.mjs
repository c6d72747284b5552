// Streamlit that is told by request headers who is there, as conf-examples/streamlit-trusted-headers.conf has it.
import { is, ok, ourCookies, scenario, settings, signIn } from './chromium.mjs';

const { site } = settings;

await scenario('trusted headers', async ({ page, context }) => {
  // What a client sends under these names has to go, on the page and on the WebSocket handshake alike.
  await context.setExtraHTTPHeaders({ 'X-Oidc-Name': 'Mallory', 'x_oidc_name': 'Mallory', 'X-Oidc-Logged-In': 'yes' });
  await page.goto(`${site}/`);
  await signIn(page);
  await page.getByText('Hello, Alice Liddell!', { exact: true }).waitFor();
  ok(true, 'everybody signs in first, and st.user has the name');
  await page.getByText('email=alice@example.test groups= provider=None', { exact: true }).waitFor();
  ok(true, 'and what else the headers say, but nothing more');
  await page.getByRole('button', { name: 'Count', exact: true }).click();
  await page.getByText('count=1.', { exact: true }).waitFor();
  ok(true, 'a rerun keeps user and state');
  await page.goto(`${site}/logout`);
  is((await ourCookies(context)).length, 0, 'signing out is a link to logout_uri');
  const answer = await context.request.get(`${site}/`, { maxRedirects: 0 });
  is(answer.status() === 302 || answer.status() === 401, true, 'and the application is closed again');
});
