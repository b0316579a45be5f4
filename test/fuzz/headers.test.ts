import { createHash } from 'node:crypto'
import { connect, type AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import requestSession, { assertNoOpenSessions, headerTransport, memoryStore, tokenSessions, type TokenSession } from '../../lib/index.js'
import { bytes, inputCount, checkPrototypes, mutated } from '../support/fuzz/laws.js'
import { Random, turns } from '../support/random.js'
import { SpyStore } from '../support/spy-store.js'

/** Connections at a time. */
const width = 16

interface Stage {
  readonly app: FastifyInstance
  readonly port: number
  readonly stores: readonly SpyStore[]
  /** Tokens of sessions whose user is "ada". */
  readonly live: readonly string[]
  readonly errors: string[]
}

async function stage (t: Test): Promise<Stage> {
  const errors: string[] = []
  const app = Fastify({ logger: { level: 'error', stream: { write: (line: string) => { errors.push(line) } } } })
  t.teardown(() => app.close())
  const stores = [new SpyStore(memoryStore()), new SpyStore(memoryStore())] as const
  const [users, devices] = [tokenSessions({ store: stores[0] }), tokenSessions({ store: stores[1], transport: headerTransport() })]
  await app.register(requestSession, { provider: users })
  await app.register(requestSession, { name: 'device', provider: devices })
  const sessionsOf = (request: FastifyRequest): Promise<TokenSession[]> =>
    Promise.all([request.session, (request as FastifyRequest & { device: Promise<TokenSession> }).device])
  app.get('/read', async (request) => (await sessionsOf(request)).map((session) => session.get('user') ?? null))
  app.get('/write', async (request) => {
    for (const session of await sessionsOf(request)) session.increment('visits')
    return []
  })
  app.get('/renew', async (request) => {
    for (const session of await sessionsOf(request)) if (session.isNew) session.regenerate()
    return []
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const live = await Promise.all([users, devices].map(async (provider) => (await provider.create({ ttl: 86_400, data: { user: 'ada' } })).token))
  return { app, port: (app.server.address() as AddressInfo).port, stores, live, errors }
}

/** A token: of nobody, of somebody, or none. */
function tokenLike (random: Random, live: readonly string[]): string {
  switch (random.below(5)) {
    case 0: return random.pick(live)
    case 1: return mutated(random, random.pick(live))
    case 2: return Array.from({ length: 43 }, () => random.pick([...'abcXYZ019-_'])).join('')
    case 3: return Array.from({ length: random.pick([1, 42, 44, 86, 500]) }, () => random.pick([...'abcXYZ019-_'])).join('')
    default: return bytes(random, 60)
  }
}

/** The text of a request, with headers that are not always those of a browser. */
function requestText (random: Random, live: readonly string[]): string {
  const token = (): string => tokenLike(random, live)
  const cookies = Array.from({ length: random.below(4) }, () => random.pick([
    () => `session=${token()}`, () => `session="${token()}"`, () => ` session = ${token()}`, () => `a=b; session=${token()}; session=${token()}`,
    () => `__proto__=${token()}`, () => `Session=${token()}`, () => `session=${Buffer.from(token(), 'latin1').toString('hex').replace(/../g, '%$&')}`, () => `xsession=${token()}`, token,
  ])())
  const authorizations = Array.from({ length: random.below(3) }, () => random.pick([
    () => `Bearer ${token()}`, () => `bearer  ${token()} `, () => `Basic ${token()}`, () => `Bearer${token()}`, () => `Bearer ${token()}, ${token()}`, token,
  ])())
  const all = [
    ...random.onceIn(5) ? cookies.map((cookie) => `cookie: ${cookie}`) : [`Cookie: ${cookies.join(random.pick(['; ', ';', ', ']))}`],
    ...authorizations.map((value) => `${random.pick(['Authorization', 'authorization'])}: ${value}`),
  ]
  // Most are let through by Node's parser: one that is not ends the connection.
  const headers = random.onceIn(20) ? all : all.map((header) => [...header].map((char) => char === '\t' || (char >= ' ' && char !== '\x7f') ? char : '!').join(''))
  return `GET ${random.pick(['/read', '/write', '/renew', '/none'])} HTTP/1.1\r\nHost: a\r\n${headers.join('\r\n')}\r\n\r\n`
}

/** Sends requests over one connection, all at once, and returns what came back; it may hang up at any moment. */
async function converse (random: Random, port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  let answer = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => { answer += chunk })
  const closed = new Promise((resolve) => { socket.once('close', resolve) })
  const message = Buffer.from(text, 'latin1')
  const cut = random.onceIn(3) ? random.below(message.length) : message.length
  socket.write(message.subarray(0, cut))
  await turns(random.below(6))
  const hangsUp = random.onceIn(4)
  if (cut < message.length && !(hangsUp && random.onceIn(2))) socket.write(message.subarray(cut))
  if (hangsUp) {
    await turns(random.below(20))
    if (random.onceIn(2)) socket.resetAndDestroy()
    else socket.destroy()
  } else {
    socket.end()
  }
  await closed
  return answer
}

/** The ids of all texts in a message that may be tokens: those of no other may reach the store. */
function * wellFormed (text: string): Generator<string, undefined> {
  for (const part of text.split(/[\s;,="]/)) {
    let decoded = part
    try {
      decoded = decodeURIComponent(part)
    } catch {}
    for (const candidate of [part, decoded, decoded.trim()]) if (/^[\w-]{43}$/.test(candidate)) yield createHash('sha256').update(candidate).digest('base64url')
  }
}

t.test(`${inputCount} requests with headers of all kinds, pipelined and broken off`, async (t) => {
  const { app, port, stores, live, errors } = await stage(t)
  const allowed = new Set(live.map((token) => createHash('sha256').update(token).digest('base64url')))
  const asked = new Set<string>()
  const problems: string[] = []
  const statuses = new Map<string, number>()
  for (const store of stores) store.calls.length = 0

  async function one (seed: number, count: number): Promise<void> {
    const random = new Random(seed)
    const text = Array.from({ length: count }, () => requestText(random, live)).join('')
    for (const id of wellFormed(text)) allowed.add(id)
    const answer = await converse(random, port, text)
    const fail = (problem: string): void => { problems.push(`seed ${seed}, ${count} requests: ${problem}\n${JSON.stringify(text)}\n${JSON.stringify(answer)}`) }
    for (const [, status = ''] of answer.matchAll(/HTTP\/1\.1 (\d+)/g)) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status.startsWith('5')) fail(`status ${status}`)
    }
    for (const [, token = ''] of answer.matchAll(/^(?:set-cookie: session=|authorization: Bearer )([^;\r]*)/gim)) {
      if (!/^[\w-]{43}$/.test(token) || text.includes(token)) fail(`the token ${token} was given`)
    }
    if (answer.includes('"ada"') && !live.some((token) => text.includes(token) || decodeAll(text).includes(token))) fail('somebody was let in')
  }

  let next = 0
  let sent = 0
  await Promise.all(Array.from({ length: width }, async () => {
    while (sent < inputCount && problems.length === 0) {
      const seed = next++
      const count = 1 + seed % 20
      sent += count
      await one(seed, count)
      for (const store of stores) for (const { method, args } of store.calls.splice(0)) if (method === 'load') asked.add(args[0] as string)
    }
  }))

  t.strictSame(problems, [])
  t.strictSame(errors, [])
  checkPrototypes(t)
  t.ok((statuses.get('200') ?? 0) > inputCount / 10 && (statuses.get('400') ?? 0) > 0, `answers: ${JSON.stringify([...statuses])}`)
  t.ok(asked.size > inputCount / 100, `${asked.size} tokens were looked up`)
  t.strictSame([...asked].filter((id) => !allowed.has(id)), [], 'no malformed one')
  await assertNoOpenSessions(app)
})

function decodeAll (text: string): string {
  return text.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}
