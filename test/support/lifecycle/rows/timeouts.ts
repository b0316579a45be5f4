import { Readable } from 'node:stream'
import { setImmediate, setTimeout } from 'node:timers/promises'
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
      // Armed after the handler's timer and for as long, this one fires after it.
      if (stage.harness.commit === 'onSend') stage.provider.before.commit = () => setTimeout(stage.patience)
      stage.route({
        handlerTimeout: stage.patience,
        handler: async (request) => {
          await stage.use(request)
          return kind === 'text' ? 'done' : Readable.from(['do', 'ne'])
        },
      })
      const { status, body, whole } = await stage.send()
      stage.t.strictSame([status, body, whole], [200, 'done', true], 'the reply that is committed for is the one that leaves')
    },
  })),
  {
    name: 'handlerTimeout, and what it ends makes the handler throw',
    outcome: 'rolled-back',
    async play (stage) {
      const ended = barrier()
      // By the time of `setImmediate()`, what the handler throws has come to Fastify.
      const endSlowly = async (): Promise<void> => {
        ended.open()
        await setImmediate()
      }
      stage.provider.before.commit = stage.provider.before.rollback = endSlowly
      stage.route({
        handlerTimeout: stage.patience,
        handler: async (request) => {
          await stage.use(request)
          await ended.opened
          throw new Error('interrupted')
        },
      })
      const { status, body, whole } = await stage.send()
      stage.t.match([status, JSON.parse(body), whole], [503, { code: 'FST_ERR_HANDLER_TIMEOUT' }, true], 'the reply is the timeout\'s')
    },
  },
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
