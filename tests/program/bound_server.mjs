// A certified OAuth server (npm oidc-provider) on a free port of loopback that binds its tokens to keys: requests must be pushed (RFC 9126), every proof
// carries a nonce of the server's (RFC 9449), and its one client shows who it is by a key (private_key_jwt). The first line of its output is its address.
// `POST /_client` tells it the client, as the document at the client's id; `/_events` counts what happened in it, and `/_events?until=NAME` answers once
// that one has happened.
//
// node bound_server.mjs
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const events = {};
const counted = ['refresh_token.saved', 'refresh_token.consumed', 'grant.success', 'grant.error', 'grant.revoked', 'pushed_authorization_request.success'];
for (const name of counted) events[name] = 0;

const made = (client) => {
  const provider = new Provider(issuer, {
    clients: [client],
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: true },
      revocation: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    },
    clientAuthMethods: ['private_key_jwt'],
    rotateRefreshToken: true,
    ttl: { AccessToken: 3600, RefreshToken: 86400, Grant: 86400, Interaction: 600, Session: 600 },
  });
  for (const name of counted) provider.on(name, () => { events[name] += 1; });
  provider.use(async (ctx, next) => {
    if (ctx.path !== '/_events') return next();
    const { until } = ctx.query;
    if (until && !events[until]) await new Promise((happened) => provider.once(until, happened));
    ctx.body = events;
  });
  return provider.callback();
};

let serve;
server.on('request', (request, response) => {
  if (request.url !== '/_client') return serve(request, response);
  let text = '';
  request.on('data', (part) => { text += part; });
  request.on('end', () => {
    serve = made(JSON.parse(text));
    response.writeHead(204).end();
  });
});
console.log(issuer);
