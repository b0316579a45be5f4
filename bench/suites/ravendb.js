import { spawnSync } from 'node:child_process'
import { tsImport } from 'tsx/esm/api'
import { besideByHand } from '../by-hand.js'
import { pinned } from '../processes.js'

/** Document sessions, against the same routes written by hand. */
export default async function ravendb (bench) {
  const { openRavenDB } = await tsImport('../../test/support/servers/ravendb.js', import.meta.url)
  const { createRavenDatabase } = await tsImport('../../test/support/servers/ravendb-database.js', import.meta.url)
  const server = await openRavenDB()
  bench.use({ stop: () => server.stop() })
  if (pinned && server.pid !== undefined) spawnSync('taskset', ['-acp', '1', String(server.pid)])
  const { name, store, drop } = await createRavenDatabase(server.url)
  bench.use({ stop: drop })

  const session = store.openSession()
  await session.store({ title: 'The garden party', text: 'Saturday at six, behind the library.' }, 'notes/1')
  await session.saveChanges()

  const contestants = { start: (way) => bench.server('ravendb', { args: [way, store.urls[0], name] }) }
  // The client is much code, and V8 compiles it on the same core: after a second or two it would still be compiling.
  const warm = { warmUp: 10, rounds: 8 }
  return [
    ...await besideByHand(bench, contestants, ['load', 'store'], { ...warm, batches: 16 }),
    ...await besideByHand(bench, contestants, ['load-tracked'], { ...warm, batches: 4 }),
  ]
}
