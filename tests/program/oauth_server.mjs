// A certified OAuth server (npm oidc-provider) on a free port of loopback, with one client: PKCE is required, refresh tokens work once, and a second use
// ends the grant. The first line of its output is its address; `/_events` counts what happened in it, and
// `/_events?until=NAME&times=N` answers once that one has happened so often. `/_secrets` lists what passed its token endpoint and nobody else may see.
//
// node oauth_server.mjs REDIRECT_URI CLIENT_SECRET
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'app:1',
    client_secret: process.argv[3],
    redirect_uris: [process.argv[2]],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true }, revocation: { enabled: true }, introspection: { enabled: true } },
  // Whatever token of a grant is revoked, all of it ends.
  revokeGrantPolicy: () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, RefreshToken: 86400, Grant: 86400, Interaction: 600, Session: 600 },
});

const events = {};
for (const name of ['refresh_token.saved', 'refresh_token.consumed', 'grant.success', 'grant.error', 'grant.revoked']) {
  events[name] = 0;
  provider.on(name, () => { events[name] += 1; });
}
const secrets = new Set();
provider.use(async (ctx, next) => {
  await next();
  if (ctx.path !== '/token') return;
  const { code, code_verifier: verifier, refresh_token: shown } = ctx.oidc.params;
  const { access_token: access, refresh_token: refresh } = ctx.body;
  for (const secret of [code, verifier, shown, access, refresh]) if (secret) secrets.add(secret);
});
provider.use(async (ctx, next) => {
  if (ctx.path === '/_secrets') { ctx.body = [...secrets]; return; }
  if (ctx.path !== '/_events') { await next(); return; }
  const { until, times = 1 } = ctx.query;
  while (until && events[until] < times) await new Promise((happened) => provider.once(until, happened));
  ctx.body = events;
});
server.on('request', provider.callback());
console.log(issuer);
