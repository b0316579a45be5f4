import type { FastifyRequest } from 'fastify'
import type { Driver } from 'neo4j-driver'
import { Agent } from 'node:http'
import { Readable } from 'node:stream'
import type { Test } from 'tap'
import { neo4jTransactions } from '../../../lib/index.js'
import { barrier, type Barrier } from '../../support/barrier.js'
import { graphApp, scopeOf, transactionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, driverForTest, query } from '../../support/neo4j/driver.js'
import { exchange } from '../../support/lifecycle/client.js'
import { scaled } from '../../support/scale.js'

const requests = scaled(1000, 10_000)
const concurrency = 64

/** The frequency of each kind of request, in parts. */
const kinds = { ok: 30, throw: 10, refuse: 10, stream: 15, hijack: 8, timeout: 2, leaveBefore: 8, leaveDuring: 5, leaveAfter: 12 }
type Kind = keyof typeof kinds

/** Requests that end in all ways, on a pool of 10: nothing stays open, and exactly the work is kept whose reply says so. */
export async function mix (t: Test, url: string, observer: Driver): Promise<void> {
  const driver = driverForTest(t, url, { maxConnectionPoolSize: 10, connectionAcquisitionTimeout: 120_000 })
  const { app, stats, allClosed } = await graphApp(t, neo4jTransactions(driver), { warnAfter: 0 }, { requestTimeout: 0 })
  app.log.level = 'silent'
  /** By key: barriers that clients wait for before they leave. */
  const moments = new Map<string, Barrier>()
  const reached = (request: FastifyRequest): void => { moments.get(keyOf(request))?.open() }
  const create = async (request: FastifyRequest): Promise<void> => {
    await transactionOf(request).run('CREATE (:Mixed {key: $key})', { key: keyOf(request) })
  }
  const gone = (request: FastifyRequest): Promise<void> => new Promise((resolve) => { request.raw.socket.once('close', () => { resolve() }) })

  app.post('/ok/:key', async (request) => {
    await create(request)
    return 'ok'
  })
  app.post('/throw/:key', async (request) => {
    await create(request)
    throw new Error('as it happens')
  })
  app.post('/refuse/:key', async (request, reply) => {
    await create(request)
    return reply.code(409).send('no')
  })
  app.post('/stream/:key', async (request) => {
    await create(request)
    return Readable.from((function * () { for (let i = 0; i < 20; i++) yield `${i}\n` })())
  })
  app.post('/hijack/:key', async (request, reply) => {
    await create(request)
    await scopeOf(request).commit()
    reply.hijack()
    reply.raw.end('ok')
  })
  app.post('/timeout/:key', { handlerTimeout: 40 }, async (request) => {
    await create(request)
    await new Promise(() => {})
  })
  app.post('/leaveBefore/:key', async (request) => {
    reached(request)
    await create(request)
    return 'ok'
  })
  app.post('/leaveDuring/:key', async (request) => {
    await create(request)
    const running = transactionOf(request).run('UNWIND range(1, 100000000000) AS x RETURN count(x)').then(() => {})
    reached(request)
    await running
  })
  app.post('/leaveAfter/:key', async (request) => {
    await create(request)
    const left = gone(request)
    reached(request)
    await left
    return 'ok'
  })

  const agent = new Agent({ keepAlive: true, maxSockets: concurrency })
  t.teardown(() => agent.destroy())
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  const draw = drawer(seed)
  const answered = new Map<string, number>()

  const play = async (kind: Kind, key: string): Promise<void> => {
    const leaves = kind.startsWith('leave')
    const moment = barrier()
    if (leaves) moments.set(key, moment)
    const { received, leave } = exchange(`${origin}/${kind}/${key}`, { method: 'POST', ...(leaves ? {} : { agent }) })
    if (!leaves) {
      const { status, whole } = await received
      if (whole) answered.set(key, status)
      return
    }
    await moment.opened
    leave()
    await received.then(({ status, whole }) => { if (whole) answered.set(key, status) }, () => {})
    moments.delete(key)
  }

  let started = 0
  const since = performance.now()
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (started < requests) {
      const number = started++
      await play(draw(), String(number))
    }
  }))
  await allClosed()
  const took = performance.now() - since

  const kept = new Set((await query<{ key: string }>(observer, 'MATCH (n:Mixed) RETURN n.key AS key')).map(({ key }) => key))
  const lost = [...answered].filter(([key, status]) => status < 400 && !kept.has(key))
  const ghosts = [...answered].filter(([key, status]) => status >= 400 && kept.has(key))
  const { open, opened, committed, rolledBack, unknown } = stats()
  t.comment(`${requests} requests in ${(took / 1000).toFixed(1)} s: ${committed} committed, ${rolledBack} rolled back`)
  t.strictSame(lost, [], 'every committed reply\'s node is there')
  t.strictSame(ghosts, [], 'no node is there of a request that was answered with an error')
  t.equal(open, 0)
  t.equal(committed, kept.size, 'what counts as committed is what is there')
  t.equal(opened, committed + rolledBack + unknown, 'each was settled once')
  t.equal(unknown, 0)
  t.ok(answered.size > requests / 2, 'most were answered')
  await assertNothingOpen(t, driver, observer)
}

function keyOf (request: FastifyRequest): string {
  return (request.params as { key: string }).key
}

/** Draws kinds of requests by their parts; the same seed draws the same. */
function drawer (seed: number): () => Kind {
  const bag = Object.entries(kinds).flatMap(([kind, parts]) => Array<Kind>(parts).fill(kind as Kind))
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return bag[Math.floor(state / 2 ** 32 * bag.length)] as Kind
  }
}
