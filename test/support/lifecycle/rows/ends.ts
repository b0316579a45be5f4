import { barrier } from '../../barrier.js'
import type { Row } from '../row.js'

/** Something else than the handler ends the request: the app, an abort signal, or nothing at all. */
export const ends: readonly Row[] = [
  {
    name: 'app.close() drains (default)',
    outcome: 'committed',
    closesLast: false,
    async play (stage) {
      const used = barrier()
      const closing = barrier()
      stage.app.addHook('preClose', async () => { closing.open() })
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          used.open()
          await closing.opened
          return 'done'
        },
      })
      const exchange = await stage.begin()
      await used.opened
      const closed = stage.app.close()
      stage.t.equal((await exchange.received).status, 200)
      await closed
    },
  },
  {
    name: 'app.close() with forceCloseConnections: true',
    server: () => ({ forceCloseConnections: true }),
    outcome: 'rolled-back',
    commits: 'without-headers',
    closesLast: false,
    async play (stage) {
      const used = barrier()
      const over = barrier()
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          used.open()
          await stage.provider.allClosed()
          await stage.refuses(request)
          over.open()
          return 'too late'
        },
      })
      const exchange = await stage.begin()
      await used.opened
      await stage.app.close()
      await stage.t.rejects(exchange.received, { code: 'ECONNRESET' })
      await over.opened
    },
  },
  {
    name: 'inject() with an abort signal',
    outcome: 'rolled-back',
    commits: 'without-headers',
    async play (stage) {
      const controller = new AbortController()
      const over = barrier()
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          controller.abort()
          await stage.provider.allClosed()
          await stage.refuses(request)
          over.open()
          return 'too late'
        },
      })
      await stage.t.rejects(stage.app.inject({ url: '/', signal: controller.signal }))
      await over.opened
    },
  },
  {
    name: 'handler never settles, client stays',
    warnAfter: 1,
    outcome: 'rolled-back',
    commits: 'without-headers',
    async play (stage) {
      stage.route({
        url: '/never',
        handler: async (request) => {
          await stage.use(request)
          return new Promise(() => {})
        },
      })
      const warned = stage.nextLog(40)
      const exchange = await stage.begin('/never')
      stage.t.match((await warned).msg, /work of GET \/never has been open for \d+ milliseconds/)
      stage.t.equal(stage.provider.open, 1, 'a warning closes nothing')
      exchange.leave()
      await stage.provider.allClosed()
    },
  },
]
