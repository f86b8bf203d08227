// A real OpenID provider on a port of this machine, with a small door for tests: `/_test/` sets what it knows of
// people, and gives it other signing keys. Arguments: the port, and where it may send people back to.

import { createServer } from 'node:http'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import Provider from 'oidc-provider'

const [port, redirect] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const accounts = new Map()
let options = {}
let provider

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }
}

function start() {
  provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'spark-ops',
        client_secret: 'a secret: with %, + and : in it',
        redirect_uris: [redirect],
        post_logout_redirect_uris: [new URL('/login', redirect).href],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        token_endpoint_auth_method: options.post ? 'client_secret_post' : 'client_secret_basic',
      },
    ],
    clientAuthMethods: [options.post ? 'client_secret_post' : 'client_secret_basic'],
    jwks: { keys: [signingKey()] },
    cookies: { keys: ['only here'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    conformIdTokenClaims: !options.claimsInToken,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...accounts.get(id), sub: id }) }),
  })
  provider.on('server_error', (_, error) => console.error(error))
}

async function tell(request, response) {
  let text = ''
  for await (const part of request) text += part
  const body = JSON.parse(text || '{}')
  if (request.url === '/_test/account') accounts.set(body.id, body.claims)
  if (request.url === '/_test/restart') {
    options = body
    start()
  }
  response.writeHead(204).end()
}

start()
createServer((request, response) => {
  if (request.url.startsWith('/_test/')) void tell(request, response)
  else provider.callback()(request, response)
}).listen(Number(port), '127.0.0.1', () => console.log('ready'))
