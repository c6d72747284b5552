// What st.login(), st.user and st.logout() do, for an application of plain WSGI and for a static page.
import { is, ok, ourCookies, scenario, settings, signIn } from './chromium.mjs';

const { site } = settings;
const hello = 'Hello, Alice Liddell!';

for (const [name, start] of [['WSGI', `${site}/wsgi`], ['a static page', `${site}/`]]) {
  await scenario(name, async ({ page, context, complaints }) => {
    const shows = (where, text) => where.getByText(text, { exact: true }).waitFor();
    await page.goto(start);
    await shows(page, 'Hello, stranger!');
    ok(true, `${name}: strangers may look`);
    await page.getByRole('link', { name: 'Log in' }).click();
    await page.waitForURL((url) => url.origin !== site);
    await signIn(page);
    await shows(page, hello);
    is(page.url(), start, `${name}: signed in, at the page where the link was`);
    await shows(page, 'email=alice@example.test groups=staff,readers');
    ok(true, `${name}: with the claims, lists among them`);
    await page.getByRole('button', { name: 'Count' }).click();
    await shows(page, 'count=1.');
    await shows(page, hello);
    ok(true, `${name}: goes on with the same user`);
    const tab = await context.newPage();
    await tab.goto(start);
    await shows(tab, hello);
    ok(true, `${name}: a second tab too`);
    await page.getByRole('link', { name: 'Log out' }).click();
    await page.click('button[name=logout]');
    await page.waitForURL(`${site}/**`);
    is((await ourCookies(context)).length, 0, `${name}: signed out, no session is left`);
    await tab.reload();
    await shows(tab, 'Hello, stranger!');
    ok(true, `${name}: the second tab knows it`);
    is(complaints.join('; '), '', `${name}: the console has no complaint`);
  });
}
