import { spawnSync } from 'node:child_process'
import { tsImport } from 'tsx/esm/api'
import { pinned } from '../processes.js'

const ways = ['plugin', 'by hand']
const withBar = ['load', 'store']
const forInformation = ['load-tracked']

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

  /** Fresh processes, one for each way, and their routes. */
  const starting = (routes) => async () => {
    const cells = []
    for (const way of ways) {
      const server = await bench.server('ravendb', { args: [way, store.urls[0], name] })
      for (const route of routes) cells.push({ name: `${way} ${route}`, server, path: `/${route}` })
    }
    return cells
  }
  const figures = (routes, { rate, ratio, costRatio }) => routes.flatMap((route) => [
    rate(`${route}, by hand`, `by hand ${route}`),
    ratio(`${route} / by hand`, `plugin ${route}`, `by hand ${route}`),
    costRatio(`${route} / by hand, by CPU time`, `by hand ${route}`, `plugin ${route}`),
  ])

  // The client is much code, and V8 compiles it on the same core: after a second or two it would still be compiling.
  const warmUp = 8
  const barred = await bench.measure(starting(withBar), { batches: 7, rounds: 12, warmUp })
  const informing = await bench.measure(starting(forInformation), { batches: 2, rounds: 12, warmUp })
  return [...figures(withBar, barred), ...figures(forInformation, informing)]
}
