// What a page of a single-page app does without a session: every kind of request, none of which may end at the provider.
import { elsewhere, is, ok, scenario, settings } from './chromium.mjs';

const { site } = settings;

// Runs inside the page: one request of each kind, and how it ended.
async function askAll() {
  const element = (name, attributes, parent = document.head) => new Promise((done) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.onload = () => done('loaded');
    made.onerror = () => done('error');
    parent.append(made);
  });
  const status = async (...asked) => { const reply = await fetch(...asked); return `${reply.status}${reply.redirected ? ' redirected' : ''}`; };
  const xhr = new Promise((done) => {
    const request = new XMLHttpRequest();
    request.onloadend = () => done(`${request.status} ${new URL(request.responseURL).pathname}`);
    request.open('GET', '/guarded/xhr');
    request.send();
  });
  const events = new Promise((done) => {
    const source = new EventSource('/guarded/events');
    source.onopen = () => done('open');
    source.onerror = () => done(source.readyState === EventSource.CLOSED ? 'closed' : 'tries again');
  });
  const socket = new Promise((done) => {
    const opened = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/guarded/socket`);
    opened.onopen = () => done('open');
    opened.onclose = () => done('closed');
  });
  const workerSays = new Promise((done) => { navigator.serviceWorker.onmessage = (event) => done(event.data); });
  const serviceWorker = async () => {
    const registration = await navigator.serviceWorker.register('/open/worker.js');
    const worker = registration.active ?? registration.waiting ?? registration.installing;
    await new Promise((done) => { if (worker.state === 'activated') done(); else worker.onstatechange = () => worker.state === 'activated' && done(); });
    worker.postMessage('ask');
    return workerSays;
  };
  const imported = import('/guarded/module').then(() => 'loaded', () => 'error');
  const worker = new Promise((done) => { new Worker('/guarded/webworker').onerror = () => done('error'); });
  const frame = new Promise((done) => {
    const made = Object.assign(document.createElement('iframe'), { src: '/guarded/frame' });
    made.onload = () => { try { done(made.contentDocument.querySelector('a').target); } catch (error) { done(`elsewhere: ${error.message}`); } };
    document.body.append(made);
  });
  const font = new FontFace('guarded', 'url(/guarded/font)').load().then(() => 'loaded', () => 'error');
  await element('link', { rel: 'preload', as: 'fetch', href: '/guarded/preload' });  // any answer is "loaded" to Chromium
  return {
    fetch: await status('/guarded/fetch'),
    'fetch as a navigation would accept': await status('/guarded/fetch', { headers: { Accept: 'text/html' } }),
    'fetch POST': await status('/guarded/fetch', { method: 'POST', body: 'x' }),
    'fetch PUT': await status('/guarded/fetch', { method: 'PUT', body: 'x' }),
    'fetch without credentials': await status('/guarded/fetch', { credentials: 'omit' }),
    'fetch kept alive': await status('/guarded/keepalive', { keepalive: true }),
    xhr: await xhr,
    events: await events,
    socket: await socket,
    image: await element('img', { src: '/guarded/image' }, document.body),
    script: await element('script', { src: '/guarded/script' }),
    module: await imported,
    'web worker': await worker,
    style: await element('link', { rel: 'stylesheet', href: '/guarded/style' }),
    prefetch: await element('link', { rel: 'prefetch', href: '/guarded/prefetch' }),
    video: await element('video', { src: '/guarded/video', preload: 'auto' }, document.body),
    font: await font,
    frame: await frame,
    beacon: navigator.sendBeacon('/guarded/beacon', 'x'),
    'service worker': await serviceWorker(),
  };
}

const wanted = {
  fetch: '401', 'fetch as a navigation would accept': '401', 'fetch POST': '401', 'fetch PUT': '401', 'fetch without credentials': '401', 'fetch kept alive': '401',
  xhr: '401 /guarded/xhr', events: 'closed', socket: 'closed', image: 'error', script: 'error', module: 'error', 'web worker': 'error', style: 'error', prefetch: 'error',
  video: 'error', font: 'error', frame: '_top', beacon: true, 'service worker': '401',
};

await scenario('requests without a session', async ({ page, requests }) => {
  await page.goto(`${site}/open/app`);
  const ended = await page.evaluate(askAll);
  for (const [name, how] of Object.entries(wanted)) {
    is(ended[name], how, `${name} without a session`);
  }
  const away = requests.filter(({ url }) => url.startsWith(settings.issuer));
  is(away.map(({ url }) => url).join(' '), '', 'none of them was sent to the provider');

  // Another site's script: the preflight has no cookie and gets no redirect, so the request is never made.
  await elsewhere(page);
  const crossed = await page.evaluate((url) => fetch(url, { headers: { 'X-Custom': '1' } }).then(({ status }) => String(status), () => 'refused'), `${site}/guarded/preflight`);
  is(crossed, 'refused', 'a preflight of another site ends there');

  await page.goto(`${site}/guarded/navigation`);
  ok(page.url().startsWith(settings.issuer), 'a navigation is sent to sign in', page.url());
});
