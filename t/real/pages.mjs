// What the test provider and the demo's application share: a plain page, escaping, and reading a form.
const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
export const text = (value) => String(value).replace(/[&<>"']/g, (sign) => entities[sign]);

export const page = (title, body) => `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(title)}</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 24rem; margin: 10vh auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; font-weight: 600; }
label { display: block; margin: .8rem 0; }
input { display: block; box-sizing: border-box; width: 100%; padding: .5rem; font: inherit; }
button { margin: .8rem .5rem 0 0; padding: .5rem 1rem; font: inherit; font-weight: 600; }
.second { font-weight: 400; }
.hint { opacity: .7; font-size: .9rem; }
td { padding: .2rem 1rem .2rem 0; vertical-align: top; overflow-wrap: anywhere; }
</style></head><body><h1>${text(title)}</h1>${body}</body></html>`;

export async function readForm(request) {
  let body = '';
  for await (const piece of request) {
    body += piece;
  }
  return new URLSearchParams(body);
}
