import type { FastifyServerOptions } from 'fastify'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { setImmediate } from 'node:timers/promises'
import { barrier } from '../../barrier.js'
import type { Row } from '../row.js'
import type { Stage } from '../stage.js'

/** The ways of a request to the app; each resolves with the reply's body. */
const clients: Readonly<Record<string, (stage: Stage) => Promise<string>>> = {
  'HTTP/1 that closes the connection': async (stage) => (await stage.send('/', { headers: { connection: 'close' } })).body,
  h2c: overHttp2,
  'inject()': async ({ app }) => (await app.inject('/')).body,
}

/** The app's own onResponse hooks: they come before the close, also where the reply's 'close' comes before they are done. */
export const onResponseHooks: readonly Row[] = Object.entries(clients).flatMap(([client, get]): Row[] => [
  {
    name: `async onResponse hook that reads the session, ${client}`,
    server: () => serverFor(client),
    outcome: 'committed',
    async play (stage) {
      const read = barrier()
      stage.app.addHook('onResponse', async (request) => {
        for (let turn = 0; turn < 5; turn++) await setImmediate()
        stage.t.ok(await stage.session(request), 'the session is there')
        stage.t.equal(stage.scope(request).state, stage.harness.commit === 'onSend' ? 'committed' : 'open')
        read.open()
      })
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return 'done'
        },
      })
      stage.t.equal(await get(stage), 'done')
      await read.opened
    },
  },
  {
    name: `async onResponse hook that is the first to use the session, ${client}`,
    server: () => serverFor(client),
    outcome: 'committed',
    commits: 'after-headers',
    closesLast: false,
    async play (stage) {
      const used = barrier()
      stage.app.addHook('onResponse', async (request) => {
        for (let turn = 0; turn < 5; turn++) await setImmediate()
        await stage.use(request)
        used.open()
      })
      stage.route({ handler: async () => 'done' })
      stage.t.equal(await get(stage), 'done')
      await used.opened
    },
  },
  {
    name: `onResponse hook that throws, ${client}`,
    server: () => serverFor(client),
    warnAfter: 1000, // longer than a save on a busy machine
    outcome: 'committed',
    async play (stage) {
      stage.app.addHook('onResponse', async () => { throw new Error('thrown by an onResponse hook') })
      stage.route({
        handler: async (request) => {
          await stage.use(request)
          return 'done'
        },
      })
      await stage.origin() // the timer that closes the session keeps no process alive; the listener does
      stage.t.equal(await get(stage), 'done')
      await stage.provider.allClosed()
      stage.t.notMatch(stage.logged.map(({ msg }) => msg), [/has been open/], 'it is closed before it counts as held')
    },
  },
])

function serverFor (client: string): FastifyServerOptions {
  return client === 'h2c' ? { http2: true } as object : {}
}

async function overHttp2 (stage: Stage): Promise<string> {
  const connection = connect(await stage.origin())
  const stream = connection.request({ ':path': '/' })
  let body = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => { body += chunk })
  await once(stream, 'close')
  connection.close()
  return body
}
