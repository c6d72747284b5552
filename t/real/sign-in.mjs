// Signs a user in at a running site, as a browser would but without one:  node sign-in.mjs URL USER
// Prints the last page's text; its exit status says whether that page came with 200.
import http from 'node:http';
import https from 'node:https';
import { text } from './pages.mjs';

const [start, user = 'alice'] = process.argv.slice(2);
const jars = new Map();

// Cookies belong to a host, whatever its port.
function remember(url, lines) {
  const jar = jars.get(url.hostname) ?? new Map();
  jars.set(url.hostname, jar);
  for (const line of lines) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    if (value && !/max-age=0/i.test(line)) jar.set(name, value); else jar.delete(name);
  }
}

// Node's own fetch() says of itself that it is no navigation, so the request is made by hand.
async function go(url, { method = 'GET', form } = {}) {
  const body = form ? new URLSearchParams(form).toString() : undefined;
  const headers = {
    accept: 'text/html',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-dest': 'document',
    cookie: [...jars.get(url.hostname) ?? []].map((pair) => pair.join('=')).join('; '),
    ...(form && { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) }),
  };
  const reply = await new Promise((done, failed) => {
    (url.protocol === 'https:' ? https : http).request(url, { method, headers }, done).on('error', failed).end(body);
  });
  remember(url, reply.headers['set-cookie'] ?? []);
  let page = '';
  for await (const piece of reply.setEncoding('utf8')) {
    page += piece;
  }
  return { status: reply.statusCode, location: reply.headers.location, body: page };
}

async function visit(url) {
  let reply = await go(url);
  for (let steps = 0; steps < 20; steps += 1) {
    if (reply.status >= 300 && reply.status < 400) {
      url = new URL(reply.location, url);
      reply = await go(url);
    } else if (reply.status === 200 && url.pathname.startsWith('/interaction/')) {
      reply = await go(url, { method: 'POST', form: { login: user, password: 'any' } });
    } else {
      return { url, status: reply.status, body: reply.body };
    }
  }
  throw new Error(`no end of redirects at ${url}`);
}

const { url, status, body } = await visit(new URL(start));
const plain = body.replace(/<style>.*?<\/style>/s, '').replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').trim();
console.log(`${status} ${url.pathname} ${plain}`);
process.exitCode = status === 200 && body.includes(text(user)) ? 0 : 1;
