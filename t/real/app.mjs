// The application behind nginx: it knows nothing of OpenID Connect and shows what nginx tells it.
//   node app.mjs        prints {"port": …}; ends when its standard input does, unless its argument is --detached
// /            a page with the user's name
// /headers     the request's headers as JSON
// /form        a form, and what a POST brought
// /socket      a page that speaks to a WebSocket at /ws, which answers every text with the user and the text
import { createHash } from 'node:crypto';
import http from 'node:http';
import { page, readForm, text } from './pages.mjs';

const socketPage = page('WebSocket', `<p id="said">waiting</p><script>
  const said = document.querySelector('#said');
  const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/ws');
  socket.onopen = () => socket.send('hello');
  socket.onmessage = (event) => { said.textContent = event.data; };
  socket.onclose = () => { if (said.textContent === 'waiting') { said.textContent = 'refused'; } };
</script>`);

const formPage = page('Write something', `<form method="post" action="/form?x=1&amp;y=%2F"><input name="title"><textarea name="text"></textarea>
  <input type="hidden" name="submit" value="a field"><input type="hidden" name="dataset" value="another"><button>Send</button></form>`);
const receivedPage = (fields, user) => page('Received', `<p id="user">${text(user)}</p><p id="fields">${text(JSON.stringify([...fields]))}</p>`);

const userPage = (headers) => page(`Hello, ${headers['x-user-name'] || headers['x-user'] || headers['x-forwarded-user'] || 'stranger'}`, `
  <p>nginx signed you in and told this application who you are:</p>
  <table>${Object.entries(headers).filter(([name]) => name.startsWith('x-user'))
    .map(([name, value]) => `<tr><td>${text(name)}</td><td>${text(value)}</td></tr>`).join('')}</table>
  <p><a href="/logout">Sign out</a></p>`);

const server = http.createServer(async (request, reply) => {
  if (request.url.startsWith('/form')) {
    reply.setHeader('Content-Type', 'text/html; charset=utf-8');
    reply.end(request.method === 'POST' ? receivedPage(await readForm(request), request.headers['x-user']) : formPage);
    return;
  }
  const json = request.url.startsWith('/headers');
  reply.setHeader('Content-Type', json ? 'application/json' : 'text/html; charset=utf-8');
  reply.end(json ? JSON.stringify(request.headers) : request.url.startsWith('/socket') ? socketPage : userPage(request.headers));
});

// RFC 6455 as far as short text messages need it.
function readFrame(bytes) {
  const [mask, payload] = [bytes.subarray(2, 6), bytes.subarray(6, 6 + (bytes[1] & 0x7f))];
  return { opcode: bytes[0] & 0x0f, message: Buffer.from(payload.map((byte, i) => byte ^ mask[i % 4])).toString() };
}
const writeFrame = (message) => Buffer.concat([Buffer.from([0x81, Buffer.byteLength(message)]), Buffer.from(message)]);

server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => {
    const { opcode, message } = readFrame(bytes);
    if (opcode === 1) {
      socket.write(writeFrame(`${request.headers['x-user'] || request.headers['x-forwarded-user'] || 'stranger'} said ${message}; cookies: ${request.headers.cookie ?? 'none'}`.slice(0, 125)));
    } else {
      socket.end();
    }
  });
});

server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
if (!process.argv.includes('--detached')) {
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
}
