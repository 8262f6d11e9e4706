// A provider that the interop test of internal/identity runs on loopback: the
// certified oidc-provider with resource indicators, so that access tokens are
// at+jwt (RFC 9068). Two issuers: "plain", and one shaped like Entra's (oid, tid).
// It prints one JSON line when it serves, and ends when its stdin closes. A line
// on stdin rotates the keys: "announce" publishes the next key beside the present
// one, "rotate" signs with it (and makes one up where none was announced); each is
// answered with a line of JSON.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const AUDIENCE = 'https://kith.example/api';
const CALLBACK = 'http://127.0.0.1/callback';

function key(alg) {
  const { privateKey } = alg === 'RS256'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg };
}

// For whom the two issuers speak; a test may say otherwise.
const agencies = { plain: 'MH', entra: 'MH', ...JSON.parse(process.env.AGENCIES ?? '{}') };
const role = process.env.ROLE ?? 'Kith.Practitioner';
const cookieKey = randomUUID();

// The keys of the clients that prove themselves with private_key_jwt come from the test.
const clientKeys = JSON.parse(process.env.CLIENT_JWKS ?? '{"keys":[]}');

function provider(issuer, alg, entra, keys) {
  const p = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: [cookieKey] },
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
      const base = { agency: entra ? agencies.entra : agencies.plain, roles: [role, 'offline_access'] };
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
  // The provider takes its keys when it is made, and signs with the first: a
  // rotation is a new provider in the old one's place.
  let keys = [key(alg)];
  let announced = null;
  let handle = provider(issuer, alg, entra, keys).callback();
  const prefix = entra ? '/tenant-of-the-test/v2.0' : '';
  server.on('request', (req, res) => {
    if (!req.url.startsWith(prefix)) { res.statusCode = 404; res.end(); return; }
    req.originalUrl = req.url;
    req.url = req.url.slice(prefix.length) || '/';
    handle(req, res);
  });
  return {
    issuer,
    announce() {
      announced = key(alg);
      keys = [...keys, announced];
      handle = provider(issuer, alg, entra, keys).callback();
    },
    rotate() {
      const next = announced ?? key(alg);
      announced = null;
      keys = [next, ...keys.filter((k) => k !== next)].slice(0, 2);
      handle = provider(issuer, alg, entra, keys).callback();
    },
  };
}

const plain = await serve('ES256', false);
const entra = await serve('RS256', true);
createInterface({ input: process.stdin }).on('line', (line) => {
  for (const p of [plain, entra]) {
    if (line === 'announce') p.announce();
    if (line === 'rotate') p.rotate();
  }
  console.log(JSON.stringify({ did: line }));
}).on('close', () => process.exit(0));
console.log(JSON.stringify({ plain: plain.issuer, entra: entra.issuer, audience: AUDIENCE, callback: CALLBACK }));
