import Fastify from 'fastify'
import requestSession from '../../lib/index.js'

// A worker of node:cluster that boots an app with the default store, and sends the primary its warnings.
const warnings: string[] = []
const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { warnings.push((JSON.parse(line) as { msg: string }).msg) } } } })
await app.register(requestSession)
await app.ready()
await app.close()
process.send?.(warnings, () => { process.disconnect() })
