// Signs a user in at a running site, as a browser would but without one:  node sign-in.mjs URL USER
// Prints the last page's text; its exit status says whether that page came with 200.
import { text } from './pages.mjs';

const [start, user = 'alice'] = process.argv.slice(2);
const jars = new Map();

// Cookies belong to a host, whatever its port.
function remember(url, reply) {
  const jar = jars.get(url.hostname) ?? new Map();
  jars.set(url.hostname, jar);
  for (const line of reply.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    if (value && !/max-age=0/i.test(line)) jar.set(name, value); else jar.delete(name);
  }
}

async function go(url, options = {}) {
  const cookie = [...jars.get(url.hostname) ?? []].map((pair) => pair.join('=')).join('; ');
  const headers = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', ...options.headers, cookie };
  const reply = await fetch(url, { ...options, headers, redirect: 'manual' });
  remember(url, reply);
  return reply;
}

const signInForm = () => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({ login: user, password: 'any' }).toString(),
});

async function visit(url) {
  let reply = await go(url);
  for (let steps = 0; steps < 20; steps += 1) {
    if (reply.status >= 300 && reply.status < 400) {
      url = new URL(reply.headers.get('location'), url);
      reply = await go(url);
    } else if (reply.status === 200 && url.pathname.startsWith('/interaction/')) {
      reply = await go(url, signInForm());
    } else {
      return { url, status: reply.status, body: await reply.text() };
    }
  }
  throw new Error(`no end of redirects at ${url}`);
}

const { url, status, body } = await visit(new URL(start));
const plain = body.replace(/<style>.*?<\/style>/s, '').replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').trim();
console.log(`${status} ${url.pathname} ${plain}`);
process.exitCode = status === 200 && body.includes(text(user)) ? 0 : 1;
