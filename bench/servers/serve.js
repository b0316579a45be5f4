import { setTimeout as sleep } from 'node:timers/promises'

/** The payload: a user and two items. */
export const sample = { user: 'ada', items: ['pizza', 'cola'] }

/** One server serves one contestant: the second argument of its command line names its store. */
export const [kind = 'memory', redisPort = ''] = process.argv.slice(2)

/**
 * Listens on a free port of the loopback, tells it to the parent process, and answers its calls.
 * @param {(options: { port: number, host: string }) => Promise<number>} listen gives the port
 * @param {Record<string, (...params: any[]) => unknown>} [commands]
 */
export async function serve (listen, commands = {}) {
  const known = { cpuTime, collect, ...commands }
  process.on('message', async ({ call, command, params }) => {
    try {
      process.send({ call, result: await known[command](...params) })
    } catch (error) {
      process.send({ call, error: error.stack })
    }
  })
  // A regular exit, so that --cpu-prof writes its file.
  process.once('SIGTERM', () => process.exit(0))
  process.once('disconnect', () => process.exit(0))
  process.send({ port: await listen({ port: 0, host: '127.0.0.1' }) })
}

/** The CPU time of this process so far, in microseconds. */
function cpuTime () {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Collects all garbage while nothing is under way, as V8 does in a server that nobody asks for a while. */
async function collect () {
  for (let i = 0; i < 2; i++) {
    globalThis.gc()
    await sleep(200)
  }
}

/** @param {import('fastify').FastifyInstance} app */
export const fastifyListener = (app) => async (options) => {
  await app.listen(options)
  return app.server.address().port
}

/** The same client options for every contestant on Redis. */
export const redisOptions = { host: '127.0.0.1', port: Number(redisPort), enableAutoPipelining: true }
