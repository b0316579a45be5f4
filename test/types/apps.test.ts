import { expectTypeOf } from 'expect-type'
import Fastify, { type FastifyBaseLogger, type FastifyTypeProvider } from 'fastify'
import t from 'tap'
import requestSession, { assertNoOpenSessions, tokenSessions } from '../../lib/index.js'

interface Schemas extends FastifyTypeProvider { validator: this['schema'], serializer: this['schema'] }

interface Logger extends FastifyBaseLogger { audit (line: string): void }

t.test('the types of apps of all kinds', async (t) => {
  const provider = tokenSessions()
  const apps = {
    http: Fastify(),
    http2: Fastify({ http2: true }),
    logger: Fastify({ loggerInstance: Object.assign(Fastify().log, { audit () {} }) as Logger }),
    typed: Fastify().withTypeProvider<Schemas>(),
  }
  for (const app of Object.values(apps)) t.teardown(() => app.close())
  apps.http.register(requestSession, { provider })
  apps.http2.register(requestSession, { provider })
  apps.logger.register(requestSession, { provider })
  apps.typed.register(requestSession, { provider })
  for (const app of Object.values(apps)) {
    await app.ready()
    await assertNoOpenSessions(app)
    expectTypeOf(app.sessionProvider).toExtend<{ kind: string }>()
    t.strictSame(Object.keys(app.sessionStats()), ['session'])
  }
})
