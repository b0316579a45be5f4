import Fastify from 'fastify'
import type { Test } from 'tap'
import requestSession from '../../../lib/plugin/plugin.js'
import { CountingProvider } from '../counting-provider.js'
import type { Harness } from './harness.js'
import type { Outcome, Row } from './row.js'
import { rows } from './rows/index.js'
import { Log, registeredAs, Stage, stats } from './stage.js'

let keys = 0

/**
 * Plays every row of the lifecycle with one kind of session, one after the other: each is a test of its own below `t`.
 * In each the session must end closed, exactly once, with the row's outcome, and nothing may stay open.
 *
 * @param only the rows whose names match: those of the environment's ONLY
 */
export async function runLifecycle (t: Test, harness: Harness, only = new RegExp(process.env['ONLY'] ?? '')): Promise<void> {
  for (const row of rows.filter(({ name }) => only.test(name))) {
    await t.test(row.name, async (t) => { await playRow(t, harness, row) })
  }
}

async function playRow (t: Test, harness: Harness, row: Row): Promise<void> {
  const provider = new CountingProvider(harness.provider)
  const log = new Log()
  const app = Fastify({
    ...row.server?.(harness),
    logger: { level: 'warn', stream: log },
  })
  t.teardown(() => app.close())
  const stage = new Stage(t, app, harness, provider, `${row.name} ${process.pid}-${++keys}`, log)
  watchHooks(stage)
  await app.register(requestSession, { name: registeredAs, provider, commit: harness.commit, warnAfter: row.warnAfter })

  await row.play(stage)
  await provider.allClosed()
  await app.close()

  const session = provider.sessions[0]
  const outcome = expected(row, harness, provider.commits)
  t.equal(provider.opened, 1, 'one session was opened')
  t.equal(session?.closes, 1, 'it was closed once')
  t.equal(session?.closedTooSoon, false, 'and not before it was settled')
  const tried = row.commitFails === true ? 'committed' : outcome
  t.strictSame({ commits: session?.commits, rollbacks: session?.rollbacks },
    { commits: Number(tried === 'committed'), rollbacks: Number(tried === 'rolled-back') }, `it was ${outcome}, once`)
  t.equal(stats(app).open, 0, 'no scope is open')
  t.strictSame([stats(app).committed, stats(app).rolledBack], outcome === 'committed' ? [1, 0] : [0, 1], 'it counts as that')
  if (outcome === 'committed' && row.commits !== 'whenever') {
    t.equal(session?.settledAfterHeaders, headersOut(row, harness), 'it was committed when the lifecycle says')
  }
  if (row.closesLast !== false) t.equal(session?.closedAfterReply, true, 'it was closed once the reply was over')
  if (harness.keeps !== 'at-once') {
    t.equal(await harness.exists(stage.key), outcome === 'committed', outcome === 'committed' ? 'the work was kept' : 'nothing was kept')
  }
  await harness.assertNothingOpen(t)
}

function expected (row: Row, { commit }: Harness, commits: CountingProvider['commits']): Outcome {
  if (commits === 'always') return row.always ?? 'committed'
  return typeof row.outcome === 'string' ? row.outcome : row.outcome[commit]
}

function headersOut (row: Row, { commit }: Harness): boolean {
  return row.commits === undefined ? commit === 'onResponse' : row.commits === 'after-headers'
}

/** Tells of the hooks that Fastify runs; they come before the plugin's. */
function watchHooks ({ app, ran }: Stage): void {
  app.addHook('onSend', (request, _reply, _payload, done) => {
    done()
    ran.emit('onSend', request)
  })
  app.addHook('onResponse', (request, _reply, done) => {
    done()
    ran.emit('onResponse', request)
  })
  app.addHook('onRequestAbort', (request, done) => {
    done()
    ran.emit('onRequestAbort', request)
  })
  app.addHook('onTimeout', (request, _reply, done) => {
    done()
    ran.emit('onTimeout', request)
  })
}
