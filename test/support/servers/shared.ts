/**
 * `tsx test/support/servers/shared.ts COMMAND …` runs a command with a RavenDB for all of its tests, each of which makes
 * a database of its own there. A RavenDB that RAVENDB_URL names already is used as it is; without one on this machine
 * the tests say so themselves. The server ends with the command, or with this process.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { MissingServer } from './missing-server.js'
import { openRavenDB } from './ravendb.js'

const [command = '', ...args] = process.argv.slice(2)

const server = await openRavenDB().catch((error: unknown) => {
  if (error instanceof MissingServer) return undefined
  throw error
})
const env = server === undefined ? process.env : { ...process.env, RAVENDB_URL: server.url }
const child = spawn(command, args, { env, stdio: 'inherit' })
// A terminal sends them to the child as well. It decides what they do, and this process ends after it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => { child.kill(signal) })
try {
  const [code] = await once(child, 'close') as [number | null]
  process.exitCode = code ?? 1
} finally {
  await server?.stop()
}
