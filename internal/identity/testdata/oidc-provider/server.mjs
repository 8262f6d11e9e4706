// A provider that the interop test of internal/identity runs on loopback: the
// certified oidc-provider with resource indicators, so that access tokens are
// at+jwt (RFC 9068). Two issuers: "plain", and one shaped like Entra's (oid, tid).
// It prints one JSON line when it serves, and ends when its stdin closes.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const AUDIENCE = 'https://kith.example/api';
const CALLBACK = 'http://127.0.0.1/callback';

function key(alg) {
  const { privateKey } = alg === 'RS256'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg };
}

// The keys of the clients that prove themselves with private_key_jwt come from the test.
const clientKeys = JSON.parse(process.env.CLIENT_JWKS ?? '{"keys":[]}');

function provider(issuer, alg, entra) {
  const p = new Provider(issuer, {
    jwks: { keys: [key(alg)] },
    cookies: { keys: [randomUUID()] },
    clients: [
      {
        client_id: 'hub', token_endpoint_auth_method: 'none', application_type: 'native',
        grant_types: ['authorization_code'], response_types: ['code'],
        redirect_uris: [CALLBACK], id_token_signed_response_alg: alg,
      },
      {
        client_id: 'feed-secret', client_secret: 'a-secret-of-the-test-only-0123456789',
        grant_types: ['client_credentials'], response_types: [], redirect_uris: [], id_token_signed_response_alg: alg,
      },
      {
        client_id: 'feed-key', token_endpoint_auth_method: 'private_key_jwt', jwks: clientKeys,
        token_endpoint_auth_signing_alg: 'ES256',
        grant_types: ['client_credentials'], response_types: [], redirect_uris: [], id_token_signed_response_alg: alg,
      },
    ],
    scopes: ['openid', 'kith'],
    pkce: { required: () => true },
    async findAccount(_ctx, id) {
      return { accountId: id, claims: async () => ({ sub: id }) };
    },
    extraTokenClaims(_ctx, token) {
      if (token.kind !== 'AccessToken') {
        return entra ? { oid: `oid-of-${token.clientId}`, tid: 'tenant-of-the-test', ver: '2.0', azp: token.clientId } : undefined;
      }
      const base = { agency: 'MH', roles: ['Kith.Practitioner', 'offline_access'] };
      return entra
        ? { ...base, oid: `oid-of-${token.accountId}`, tid: 'tenant-of-the-test', ver: '2.0', azp: token.clientId }
        : base;
    },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: async () => AUDIENCE,
        useGrantedResource: async () => true,
        getResourceServerInfo: async () => ({
          scope: 'kith', audience: AUDIENCE, accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg } },
        }),
      },
    },
  });
  return p;
}

async function serve(alg, entra) {
  const server = createServer();
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const issuer = `http://127.0.0.1:${server.address().port}${entra ? '/tenant-of-the-test/v2.0' : ''}`;
  const p = provider(issuer, alg, entra);
  if (entra) {
    const handle = p.callback();
    const prefix = '/tenant-of-the-test/v2.0';
    server.on('request', (req, res) => {
      if (!req.url.startsWith(prefix)) { res.statusCode = 404; res.end(); return; }
      req.originalUrl = req.url;
      req.url = req.url.slice(prefix.length) || '/';
      handle(req, res);
    });
  } else {
    server.on('request', p.callback());
  }
  return issuer;
}

const plain = await serve('ES256', false);
const entra = await serve('RS256', true);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
console.log(JSON.stringify({ plain, entra, audience: AUDIENCE, callback: CALLBACK }));
