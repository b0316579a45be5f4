import { ignoreWarnings } from './count.js'
import { connect, serveHalves, type Address, type Batch } from './two-processes.js'

// The second process of `findFaultsBetweenProcesses`: serves its half of each batch, until the first one is gone.
ignoreWarnings()
const { client, users } = connect(JSON.parse(process.argv[2] as string) as Address)
await client.ping()
process.on('message', (batch: Batch) => {
  serveHalves(1, batch, users).then((halves) => process.send?.(halves), (error: unknown) => { throw error })
})
process.on('disconnect', () => { process.exit() })
process.send?.('ready')
