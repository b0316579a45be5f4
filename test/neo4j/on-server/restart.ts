import type { Driver } from 'neo4j-driver'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { neo4jTransactions } from '../../../lib/index.js'
import { barrier } from '../../support/barrier.js'
import { graphApp, transactionOf } from '../../support/neo4j/app.js'
import { assertNothingOpen, driverForTest, query } from '../../support/neo4j/driver.js'
import { exchange } from '../../support/lifecycle/client.js'
import type { OwnServer } from '../../support/servers/own-server.js'

const clients = 24
const acquisition = 2000
/** Milliseconds: the driver's longest wait, and time for a busy machine. A hang takes longer. */
const patience = acquisition + 18_000

interface Answer { readonly key: string, readonly status: number, readonly code: string | undefined, readonly took: number }

/** The server dies in the middle of a run and comes back: no hang, no false success, and the app goes on. */
export async function restart (t: Test, server: OwnServer, observer: Driver): Promise<void> {
  const driver = driverForTest(t, server.url, { maxConnectionPoolSize: 10, connectionAcquisitionTimeout: acquisition, connectionTimeout: 1000 })
  const { app, stats, allClosed } = await graphApp(t, neo4jTransactions(driver))
  app.log.level = 'silent'
  app.post('/:key', async (request) => {
    const transaction = await transactionOf(request)
    const { key } = request.params as { key: string }
    await transaction.run('CREATE (:Restarted {key: $key})', { key })
    await transaction.run('MATCH (n:Restarted {key: $key}) SET n.twice = true', { key })
    return 'ok'
  })
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })

  const answers: Answer[] = []
  let phase: 'before' | 'down' | 'back' = 'before'
  const over = new AbortController()
  const enough = { before: barrier(), down: barrier(), back: barrier() }
  const counts = { before: 0, down: 0, back: 0 }
  const wanted = { before: 500, down: 2 * clients, back: 500 }

  const client = async (number: number): Promise<void> => {
    for (let i = 0; !over.signal.aborted; i++) {
      const key = `${number}-${i}`
      const since = performance.now()
      const { status, headers, body } = await exchange(`${origin}/${key}`, { method: 'POST' }).received
      const code = status === 200 ? undefined : (JSON.parse(body) as { code: string }).code
      answers.push({ key, status, code, took: performance.now() - since })
      if ((status === 200) === (phase !== 'down') && ++counts[phase] === wanted[phase]) enough[phase].open()
      if (phase === 'down') await delay(Number(headers['retry-after'] ?? 0) * 1000)
    }
  }
  const run = Promise.all(Array.from({ length: clients }, (_, i) => client(i)))
  await enough.before.opened
  phase = 'down'
  await server.kill()
  await enough.down.opened
  await server.restart()
  phase = 'back'
  await enough.back.opened
  over.abort()
  await run
  await allClosed()

  const kept = new Set((await query<{ key: string }>(observer, 'MATCH (n:Restarted {twice: true}) RETURN n.key AS key')).map(({ key }) => key))
  const byCode = new Map<string, number>()
  for (const { code } of answers) if (code !== undefined) byCode.set(code, (byCode.get(code) ?? 0) + 1)
  const slowest = Math.max(...answers.map(({ took }) => took))
  t.comment(`${answers.length} answers, the slowest after ${Math.round(slowest)} ms; errors: ${[...byCode].map((entry) => entry.join(' ')).join(', ')}`)

  t.strictSame(answers.filter(({ key, status }) => status === 200 && !kept.has(key)), [], 'what was said to be kept is there')
  t.strictSame(answers.filter(({ key, status, code }) => status !== 200 && kept.has(key) && code !== 'FST_SESSION_OUTCOME_UNKNOWN'), [],
    'what was said not to be kept is not there')
  t.strictSame(answers.filter(({ status }) => status !== 200 && status !== 503), [], 'each was answered, with 200 or 503')
  t.ok(slowest < patience, 'no request waited longer than the driver may')
  t.equal(stats().open, 0)
  await assertNothingOpen(t, driver, observer)

  await t.test('a server that stands still keeps no one waiting beyond the handlerTimeout', async (t) => {
    const { app, stats, allClosed } = await graphApp(t, neo4jTransactions(driver), {}, { handlerTimeout: 1000 })
    const begun = barrier()
    app.post('/', async (request) => {
      await transactionOf(request).run('CREATE (:Restarted {key: $key})', { key: 'still' })
      server.pause()
      t.match(await neo4jTransactions(driver).ping({ timeout: 50 }), { ok: false, problem: 'no answer within 50 milliseconds' })
      begun.open()
      await transactionOf(request).run('RETURN 1')
    })
    const since = performance.now()
    const reply = exchange(await app.listen({ port: 0, host: '127.0.0.1' }), { method: 'POST' }).received
    await begun.opened
    t.equal((await reply).status, 503)
    t.ok(performance.now() - since < patience, 'the rollback is not waited for')
    t.equal(stats().open, 1, 'it is still counted as open')
    server.resume()
    await allClosed()
    t.strictSame(await query(observer, 'MATCH (n:Restarted {key: "still"}) RETURN n'), [])
    await assertNothingOpen(t, driver, observer)
  })
}
