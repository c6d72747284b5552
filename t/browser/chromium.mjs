// Chromium as a test drives it, and the few lines of test vocabulary that the scripts beside this file share.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from '../real/from-build.mjs';

const { default: { chromium } } = await load('playwright-core');
export const settings = JSON.parse(process.argv[2] ?? '{}');
const patience = 20_000;

// One line for each check; the Perl test that started this script reads them.
export function ok(good, name, detail = '') {
  console.log(`${good ? 'ok' : 'not ok'} - ${name}${good ? '' : ` # ${String(detail).replace(/\s+/g, ' ').slice(0, 600)}`}`);
}
export const is = (got, wanted, name) => ok(got === wanted, name, `got ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}`);

// Runs what is in it with a browser of its own; a step that fails is one failed check.
export async function scenario(name, steps) {
  const browser = await open();
  try {
    await steps(browser);
  } catch (error) {
    ok(false, name, error.stack);
  } finally {
    await browser.close();
  }
}

const quiet = ['--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-default-apps'];

// A browser with an empty profile. `requests` records what it asked for, `complaints` what its console said.
async function open() {
  const folder = mkdtempSync(join(tmpdir(), 'oidc-chromium-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.OIDC_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    chromiumSandbox: process.getuid() !== 0,
    args: [...quiet, ...(settings.spki ? [`--ignore-certificate-errors-spki-list=${settings.spki}`] : [])],
  });
  context.setDefaultTimeout(patience);
  const [requests, complaints] = [[], []];
  context.on('request', (request) => requests.push({ url: request.url(), headers: request.headers() }));
  context.on('page', (page) => page.on('console', (line) => { if (line.type() === 'error') complaints.push(line.text()); }));
  const page = await context.newPage();
  const close = async () => { await context.close(); rmSync(folder, { recursive: true, force: true }); };
  return { context, page, requests, complaints, close };
}

// Fills in the provider's page, which sends the browser back by itself.
export async function signIn(page, user = 'alice') {
  await page.fill('input[name=login]', user);
  await page.fill('input[name=password]', 'any');
  await Promise.all([page.waitForURL((url) => url.origin === settings.site), page.click('button[name=prompt]')]);
}

// Goes to an address as a link of the page at hand does. page.goto() counts as typed by the user, and says so in its headers.
export async function follow(page, address) {
  await page.evaluate((href) => {
    const link = Object.assign(document.createElement('a'), { href, id: 'follow', textContent: 'follow' });
    document.body.prepend(link);
  }, address);
  await Promise.all([page.waitForNavigation(), page.click('#follow')]);
}

// A page of another site: the provider's answer to a request that it refuses.
export const elsewhere = (page) => page.goto(`${settings.issuer}/elsewhere`);

// Our cookies that stay after a login. The counter of logins ends by itself after a minute and is not looked at.
export const ourCookies = async (context) => (await context.cookies(settings.site))
  .filter(({ name }) => /^(__\w+-)?NGX_OIDC/.test(name) && !name.endsWith('NGX_OIDC_LOOP'));

// Where a picture of this name belongs.
export function picture(name) {
  const folder = join(process.env.OIDC_BUILD ?? 'build', 'screenshots');
  mkdirSync(folder, { recursive: true });
  return join(folder, `${name}.png`);
}

// What a page must be at every size and in both schemes, and a picture of it to look at.
export async function look(page, name, scripts = 0) {
  const backgrounds = new Set();
  for (const [size, width, height] of [['phone', 360, 640], ['desktop', 1280, 800]]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: picture(`${name}-${size}-${colorScheme}`), fullPage: true });
      const seen = await page.evaluate(measure);
      backgrounds.add(seen.background);
      ok(seen.overflow <= 0, `${name}, ${size}, ${colorScheme}: nothing sticks out sideways`, seen.overflow);
      ok(seen.contrast >= 4.5, `${name}, ${size}, ${colorScheme}: text stands out from its ground (4.5 or more)`, seen.least);
      ok(seen.targets >= 24, `${name}, ${size}, ${colorScheme}: buttons and links of their own are large enough to hit`, seen.targets);
    }
  }
  is(backgrounds.size, 2, `${name}: dark is another colour than light`);
  const facts = await page.evaluate(() => ({ lang: document.documentElement.lang, title: document.title.length > 0,
    headings: document.querySelectorAll('h1').length, scripts: document.scripts.length }));
  is(JSON.stringify(facts), `{"lang":"en","title":true,"headings":1,"scripts":${scripts}}`, `${name}: language, title, one heading, ${scripts || 'no'} script`);
}

// Runs inside the page. Contrast as WCAG 2 defines it, of every element that holds text itself, the least of them.
function measure() {
  // Modern notations of colours are left to a canvas to make out.
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => rgba(color).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  // What shows where nobody has set a ground: the page's own idea of light and dark decides.
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.backgroundColor = 'Canvas';
  const bare = getComputedStyle(probe).backgroundColor;
  probe.remove();
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (rgba(color)[3] === 255) {
        return color;
      }
    }
    return bare;
  };
  const holdsText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const measured = [...document.body.querySelectorAll('*')].filter(holdsText).map((element) => {
    const pair = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
    return { contrast: (pair[0] + 0.05) / (pair[1] + 0.05), what: element.outerHTML };
  }).sort((a, b) => a.contrast - b.contrast);
  const targets = [...document.querySelectorAll('button, a')].filter((element) => getComputedStyle(element).display !== 'inline');
  return {
    overflow: document.documentElement.scrollWidth - innerWidth,
    background: ground(document.body),
    contrast: measured[0].contrast,
    least: `${measured[0].contrast.toFixed(2)} ${measured[0].what}`,
    targets: Math.min(...targets.map((element) => element.getBoundingClientRect().height), 999),
  };
}
