import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A loopback port that nothing listens on. It lies below the range from which Linux takes the ports of outgoing
 * connections (32768 upwards): while a killed server is away no client can be given its port, nor connect to itself.
 * Another process may still take it before the server does: who starts one tries again.
 */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 32_000)
    if (await isFree(port)) return port
  }
}

async function isFree (port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
