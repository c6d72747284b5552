// A certified OpenID Provider for tests and the demo: npm oidc-provider with sign-in pages of our own.
//   node oidc-provider.mjs '{"redirect_uris": ["http://127.0.0.1:8080/oidc_callback"]}'
// It takes free ports and prints one line of JSON when it listens:
//   {"issuer": …, "tls_issuer": …, "clients": {"app": {"client_id": "app", "client_secret": …}, …}}
// Any user name with any password signs in; the name becomes `sub`. It ends when its standard input does.
// Settings: redirect_uris, post_logout_redirect_uris, tls { key, cert } (the same provider on https://localhost too),
//   refresh_tokens, first_life and later_life { client } (seconds of an access token from a login and from a refresh),
//   conform (profile and email only from UserInfo), pkce_required, prompt_consent, port, detached (outlive standard input),
//   more_clients { client: metadata, with public_key: a PEM file in place of jwks }
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { page, readForm, text } from './pages.mjs';
import { load } from './from-build.mjs';

const { Provider, interactionPolicy } = await load('oidc-provider');
// It warns that it keeps everything in memory only: that is the point here.
console.warn = () => {};
const settings = JSON.parse(process.argv[2] ?? '{}');
const algorithms = ['RS', 'PS', 'ES'].flatMap((family) => [256, 384, 512].map((bits) => family + bits)).concat('EdDSA');

const signingKey = (type, options) => {
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
  return { ...jwk, use: 'sig', kid: `${options.namedCurve ?? type}-${randomBytes(4).toString('hex')}` };
};

const keySet = (file) => (file ? { client_secret: undefined, jwks: { keys: [createPublicKey(readFileSync(file)).export({ format: 'jwk' })] } } : {});

const client = (client_id, more = {}) => ({
  client_id,
  client_secret: randomBytes(32).toString('base64url'),
  redirect_uris: settings.redirect_uris ?? ['http://127.0.0.1:8080/oidc_callback'],
  post_logout_redirect_uris: settings.post_logout_redirect_uris ?? [],
  ...more,
});
const clients = [
  client('app'),
  client('app-post', { token_endpoint_auth_method: 'client_secret_post' }),
  client('app-public', { token_endpoint_auth_method: 'none', client_secret: undefined }),
  ...algorithms.map((alg) => client(`app-${alg}`, { id_token_signed_response_alg: alg })),
  ...Object.entries(settings.more_clients ?? {}).map(([id, { public_key, ...more }]) => client(id, { ...more, ...keySet(public_key) })),
];

const claimsOf = (name) => ({
  sub: name,
  name: `${name[0].toUpperCase()}${name.slice(1)} Liddell`,
  preferred_username: name,
  groups: ['staff', 'readers'],
  email: `${name}@example.test`,
  email_verified: true,
});

// Streamlit sends prompt=select_account, which this provider does not know by itself. It is known here, and changes nothing.
const policy = interactionPolicy.base();
const selectAccount = new interactionPolicy.Prompt({ name: 'select_account', requestable: true });
selectAccount.checks.clear();
policy.add(selectAccount);

const configuration = {
  clients,
  clientDefaults: { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  jwks: {
    keys: [signingKey('rsa', { modulusLength: 2048 }), signingKey('ed25519', {}),
      ...['P-256', 'P-384', 'P-521'].map((namedCurve) => signingKey('ec', { namedCurve }))],
  },
  enabledJWA: { idTokenSigningAlgValues: algorithms },
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username', 'groups'],
    email: ['email', 'email_verified'],
  },
  conformIdTokenClaims: settings.conform ?? false,
  pkce: { methods: ['S256'], required: () => settings.pkce_required ?? false },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => claimsOf(id) }),
  interactions: { policy, url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  // Whoever signs in has agreed already, so that there is one page and not two.
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid profile email');
    await grant.save();
    return grant;
  },
  async renderError(ctx, out) {
    ctx.type = 'html';
    ctx.body = page('The provider says no', Object.entries(out).map(([key, value]) => `<p>${text(key)}: ${text(value)}</p>`).join(''));
  },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      async logoutSource(ctx, form) {
        ctx.body = page('Sign out of the provider?', `${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>
          <button form="op.logoutForm" class="second">Stay</button>`);
      },
      async postLogoutSuccessSource(ctx) { ctx.body = page('You have signed out of the provider', ''); },
    },
  },
  // Of a family of refresh tokens the newest counts: an older one that comes back ends them all.
  ...(settings.refresh_tokens ? { issueRefreshToken: async () => true, rotateRefreshToken: true } : {}),
  ttl: { AccessToken: (ctx, token, { clientId }) =>
    (ctx?.oidc?.params?.grant_type === 'refresh_token' ? settings.later_life?.[clientId] : settings.first_life) ?? 3600, RefreshToken: 86400, AuthorizationCode: 60, IdToken: 3600, Interaction: 600, Session: 86400, Grant: 86400 },
};

// The sign-in page: GET shows it, POST answers it.
async function interact(op, ctx) {
  const { prompt, params } = await op.interactionDetails(ctx.req, ctx.res);
  if (ctx.method === 'POST') {
    const form = await readForm(ctx.req);
    const outcome = form.get('cancel') ? { error: 'access_denied', error_description: 'The user said no' }
      : { login: { accountId: form.get('login') || 'nobody' }, consent: {} };
    ctx.status = 303;
    ctx.redirect(await op.interactionResult(ctx.req, ctx.res, outcome, { mergeWithLastSubmission: false }));
    return;
  }
  ctx.type = 'html';
  ctx.body = page(`Sign in to ${params.client_id}`, `<form method="post">
    <label>User name <input name="login" value="${text(params.login_hint ?? '')}" autofocus required></label>
    <label>Password <input name="password" type="password"></label>
    <button name="prompt" value="${text(prompt.name)}">Sign in</button>
    <button name="cancel" value="1" class="second" formnovalidate>Cancel</button></form>
    <p class="hint">Any name with any password will do.</p>`);
}

function provide(server, issuer) {
  const op = new Provider(issuer, configuration);
  op.use((ctx, next) => (ctx.path.startsWith('/interaction/') ? interact(op, ctx) : next()));
  for (const event of ['server_error', 'grant.error', 'authorization.error', 'end_session.error', 'backchannel.error']) {
    op.on(event, (ctx, error) => console.error(event, error.message, error.error_detail ?? error.error_description ?? ''));
  }
  server.on('request', op.callback());
  return issuer;
}

// The issuer holds the port, so the port comes first.
async function listen(server, scheme, host, port) {
  await new Promise((done) => { server.listen(port, '127.0.0.1', done); });
  return provide(server, `${scheme}://${host}:${server.address().port}`);
}

const facts = { issuer: await listen(http.createServer(), 'http', '127.0.0.1', settings.port ?? 0) };
if (settings.tls) {
  const pair = { key: readFileSync(settings.tls.key), cert: readFileSync(settings.tls.cert) };
  facts.tls_issuer = await listen(https.createServer(pair), 'https', 'localhost', 0);
}
facts.clients = Object.fromEntries(clients.map(({ client_id, client_secret }) => [client_id, { client_id, client_secret }]));
console.log(JSON.stringify(facts));

if (!settings.detached) {
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
}
