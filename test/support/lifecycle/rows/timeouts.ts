import { Readable } from 'node:stream'
import { barrier } from '../../barrier.js'
import type { Row } from '../row.js'

/** Time runs out: rolled back, while the handler goes on and finds its session closed. */
export const timeouts: readonly Row[] = [
  {
    name: 'handlerTimeout',
    outcome: 'rolled-back',
    async play (stage) {
      const over = barrier()
      stage.route({
        handlerTimeout: stage.patience,
        handler: async (request) => {
          await stage.use(request)
          await stage.provider.allClosed()
          await stage.refuses(request)
          over.open()
          return 'too late'
        },
      })
      stage.t.equal((await stage.send()).status, 503)
      await over.opened
    },
  },
  ...['text', 'stream'].map((kind): Row => ({
    name: `handlerTimeout during a slow commit, of a ${kind}`,
    outcome: 'committed',
    async play (stage) {
      const slow = stage.harness.commit === 'onSend'
      const timedOut = barrier()
      if (slow) stage.provider.before.commit = () => timedOut.opened
      stage.route({
        handlerTimeout: stage.patience,
        handler: async (request) => {
          await stage.use(request)
          return kind === 'text' ? 'done' : Readable.from(['do', 'ne'])
        },
      })
      const exchange = await stage.begin()
      if (slow) {
        await stage.next('onError') // by then the error's onSend has run, too
        timedOut.open()
      }
      const { status, body, whole } = await exchange.received
      stage.t.strictSame([status, body, whole], [200, 'done', true], 'the reply that is committed for is the one that leaves')
    },
  })),
  {
    name: 'connectionTimeout',
    server: ({ workWithin = 100 }) => ({ connectionTimeout: workWithin }),
    outcome: 'rolled-back',
    commits: 'without-headers',
    async play (stage) {
      const over = barrier()
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          await stage.provider.allClosed()
          await stage.refuses(request)
          over.open()
          return 'too late'
        },
      })
      const timedOut = stage.next('onTimeout')
      await stage.t.rejects((await stage.begin()).received, { code: 'ECONNRESET' })
      await timedOut
      await over.opened
    },
  },
  {
    name: 'requestTimeout (slow body)',
    server: ({ workWithin = 100 }) => ({
      requestTimeout: workWithin, http: { headersTimeout: workWithin, connectionsCheckingInterval: 20 },
    }),
    outcome: 'rolled-back',
    commits: 'whenever',
    async play (stage) {
      stage.route({
        method: 'POST',
        onRequest: async (request) => { await stage.use(request) },
        handler: async () => stage.t.fail('the handler runs without a whole body'),
      })
      const headers = { 'content-type': 'application/json', 'content-length': '100' }
      const exchange = await stage.begin('/', { method: 'POST', headers }, '{"half":', false)
      stage.t.equal((await exchange.received).status, 408)
    },
  },
]
