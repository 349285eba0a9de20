// A certified OpenID Connect provider (npm oidc-provider) on a free port of loopback. Who signs in says who it is: SUBJECT~MAIL~yes, or ~no where
// the mail address is not verified. The first line of its output is its address. `/_forge?as=KIND` lets the next id_token be another one than
// it issued, well signed but for what KIND says.
//
// node oidc_server.mjs REDIRECT_URI
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, decodeJwt } from 'jose';
import Provider from 'oidc-provider';

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const key = async (kid) => {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { sign: privateKey, jwk: { ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' } };
};
const own = await key('own');
const foreign = await key('own');

const provider = new Provider(issuer, {
  jwks: { keys: [own.jwk] },
  clients: [{
    client_id: 'token-broker',
    client_secret: 'oidc-secret-canary',
    redirect_uris: [process.argv[2]],
    grant_types: ['authorization_code'],
    response_types: ['code'],
  }],
  pkce: { required: () => true },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => {
    const [sub, email, verified] = id.split('~');
    return { accountId: id, claims: () => ({ sub: id, email, email_verified: verified === 'yes', name: sub }) };
  },
  ttl: { AccessToken: 3600, IdToken: 3600, Grant: 86400, Interaction: 600, Session: 600 },
});

let forge = '';
const forged = async (token) => {
  const claims = decodeJwt(token);
  const now = Math.floor(Date.now() / 1000);
  const changed = {
    nonce: { nonce: 'another' }, audience: { aud: 'somebody-else' }, issuer: { iss: 'https://evil.example' }, expired: { exp: now - 3600, iat: now - 7200 },
    old: { auth_time: now - 3600 },
  };
  const said = { ...claims, ...changed[forge] };
  if (forge === 'none') return new UnsecuredJWT(said).encode();
  if (forge === 'secret') return new SignJWT(said).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode('oidc-secret-canary'.repeat(2)));
  return new SignJWT(said).setProtectedHeader({ alg: 'RS256', kid: 'own' }).sign(forge === 'key' ? foreign.sign : own.sign);
};
provider.use(async (ctx, next) => {
  if (ctx.path === '/_forge') {
    forge = ctx.query.as;
    ctx.body = 'as you like';
    return;
  }
  await next();
  if (ctx.path === '/token' && forge && ctx.body?.id_token) {
    ctx.body.id_token = await forged(ctx.body.id_token);
    forge = '';
  }
});
server.on('request', provider.callback());
console.log(issuer);
