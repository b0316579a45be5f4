import { ignoreWarnings } from './count.js'
import { connect, serveHalves, type Address, type Batch } from './two-processes.js'

// The second process of `findFaultsBetweenProcesses`: serves its half of each batch, until the first one is gone.
ignoreWarnings()
const [address, maxAge] = process.argv.slice(2) as [string, string]
const { client, users } = connect(JSON.parse(address) as Address, maxAge === '' ? undefined : Number(maxAge))
await client.ping()
process.on('message', (batch: Batch) => {
  serveHalves(1, batch, users).then((halves) => process.send?.(halves), (error: unknown) => { throw error })
})
process.on('disconnect', () => { process.exit() })
process.send?.('ready')
