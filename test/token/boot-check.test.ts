import Fastify from 'fastify'
import t from 'tap'
import requestSession, { tokenSessions, type TokenSessionOptions } from '../../lib/index.js'

async function warningsOf (options: TokenSessionOptions): Promise<string[]> {
  const warnings: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { warnings.push((JSON.parse(line) as { msg: string }).msg) } } } })
  await app.register(requestSession, { provider: tokenSessions(options) })
  await app.close()
  return warnings
}

t.test('a lifetime that looks like milliseconds is warned of at boot', async (t) => {
  t.strictSame(await warningsOf({ ttl: 1_800_000 }), ['ttl: 1800000 is in seconds: 21 days. If milliseconds were meant, write 1800'])
  t.strictSame(await warningsOf({ ttl: 3_600_000, maxAge: 86_400_000 }), [
    'ttl: 3600000 is in seconds: 42 days. If milliseconds were meant, write 3600',
    'maxAge: 86400000 is in seconds: 1000 days. If milliseconds were meant, write 86400',
  ])
})

t.test('what people write in seconds is not', async (t) => {
  const days = [1, 2, 5, 7, 14, 25, 30, 60, 90, 100, 180, 365, 400, 500]
  for (const seconds of [60, 600, 1800, 3600, 60_000, ...days.map((day) => day * 86_400)]) t.strictSame(await warningsOf({ ttl: seconds, maxAge: seconds }), [], String(seconds))
  t.strictSame(await warningsOf({ ttl: null, maxAge: null }), [])
})
