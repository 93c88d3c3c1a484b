// An OpenID provider of other makers: oidc_provider.mjs PORT CONFIGURATION. Orders come as lines of JSON on the standard input, answers go out likewise.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { SignJWT, importJWK } from 'jose';
import Provider from 'oidc-provider';

const [port, file] = process.argv.slice(2);
const { gantry, people } = JSON.parse(readFileSync(file, 'utf8'));
const issuer = `http://127.0.0.1:${port}`;
let generation = 0;
let server;
let keys;

function makeKeys() {
  generation++;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  return [
    { ...rsa, kid: `rsa-${generation}`, use: 'sig' },
    { ...ec, kid: `ec-${generation}`, use: 'sig' },
  ];
}

const configuration = () => ({
  jwks: { keys },
  clients: [
    {
      client_id: 'gantry',
      client_secret: 'a secret of the client + 100 %',
      redirect_uris: [`${gantry}/api/oidc/callback`],
      post_logout_redirect_uris: [`${gantry}/`],
      backchannel_logout_uri: `${gantry}/api/oidc/backchannel-logout`,
      backchannel_logout_session_required: true,
      id_token_signed_response_alg: 'ES256',
    },
    { client_id: 'robot', client_secret: 'robot', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
  ],
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], groups: ['groups'] },
  scopes: ['openid', 'profile', 'groups'],
  cookies: { keys: ['only for tests'] },
  pkce: { required: () => true },
  responseTypes: ['code'],
  features: {
    clientCredentials: { enabled: true },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({ scope: 'api', audience: 'gantry-api', accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'PS256' } } }),
    },
  },
  extraTokenClaims: (_, token) => (token.kind === 'ClientCredentials' ? { groups: ['programs'] } : undefined),
  findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id, ...people[id] }) }),
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid profile groups');
    await grant.save();
    return grant;
  },
});

/** New keys and nothing remembered, at the same address. */
async function start() {
  keys = makeKeys();
  server?.closeAllConnections();
  await new Promise((done) => (server ? server.close(done) : done()));
  server = createServer(new Provider(issuer, configuration()).callback());
  await new Promise((done) => server.listen(Number(port), '127.0.0.1', done));
  return { issuer, generation };
}

/** A token as the order has it, by the provider's own key. */
async function sign({ header, claims, kid }) {
  const jwk = keys.find((k) => k.kid.startsWith(kid));
  const key = await importJWK(jwk, header.alg);
  return { token: await new SignJWT(claims).setProtectedHeader({ kid: jwk.kid, ...header }).sign(key) };
}

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
say(await start());
createInterface({ input: process.stdin }).on('line', async (line) => {
  const order = JSON.parse(line);
  try {
    say(order.sign ? await sign(order.sign) : await start());
  } catch (error) {
    say({ error: error.stack });
  }
}).on('close', () => process.exit(0));
