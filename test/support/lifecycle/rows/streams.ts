import { Readable } from 'node:stream'
import { barrier } from '../../barrier.js'
import type { Row } from '../row.js'

/** Replies that are streams. They are settled before their first byte, and their sessions closed after the last. */
export const streams: readonly Row[] = [
  {
    name: 'stream, whole',
    outcome: 'committed',
    async play (stage) {
      const firstRead = barrier()
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return Readable.from((async function * () {
            yield 'first,'
            await firstRead.opened
            stage.t.equal(stage.provider.open, 1, 'the session is open until the last byte')
            stage.t.ok(stage.session(request), 'the session can be read until the last byte')
            yield 'last'
          })())
        },
      })
      const exchange = await stage.begin()
      await exchange.first
      firstRead.open()
      const { status, body, whole } = await exchange.received
      stage.t.strictSame([status, body, whole], [200, 'first,last', true])
    },
  },
  {
    name: 'stream error before the first byte',
    outcome: { onSend: 'committed', onResponse: 'rolled-back' },
    async play (stage) {
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return new Readable({ read () { this.destroy(new Error('the stream failed at once')) } })
        },
      })
      const { status, body } = await stage.send()
      stage.t.equal(status, 500)
      stage.t.match(body, 'the stream failed at once')
    },
  },
  {
    name: 'stream error while the commit is under way',
    outcome: { onSend: 'committed', onResponse: 'rolled-back' },
    async play (stage) {
      const stream = new Readable({ read () {} })
      const fail = async (): Promise<void> => {
        const closed = new Promise((resolve) => { stream.once('close', resolve) })
        stream.destroy(new Error('the stream failed'))
        await closed
      }
      if (stage.harness.commit === 'onSend') stage.provider.before.commit = fail
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          if (stage.harness.commit === 'onResponse') setImmediate(fail)
          return stream
        },
      })
      stage.t.equal((await stage.send()).status, 500)
    },
  },
  {
    name: 'stream error midway',
    outcome: { onSend: 'committed', onResponse: 'rolled-back' },
    async play (stage) {
      const firstRead = barrier()
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return Readable.from((async function * () {
            yield 'first,'
            await firstRead.opened
            throw new Error('the stream failed midway')
          })())
        },
      })
      const exchange = await stage.begin()
      await exchange.first
      firstRead.open()
      const { status, body, whole } = await exchange.received
      stage.t.strictSame([status, body, whole], [200, 'first,', false])
    },
  },
  {
    name: 'client leaves mid-stream',
    outcome: { onSend: 'committed', onResponse: 'rolled-back' },
    async play (stage) {
      const destroyed = barrier()
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          const stream = new Readable({ read () {} })
          stream.push('first,')
          stream.once('close', destroyed.open)
          return stream
        },
      })
      const exchange = await stage.begin()
      await exchange.first
      exchange.leave()
      await destroyed.opened
    },
  },
]
