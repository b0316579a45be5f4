import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { StartError } from './start-error.js'

export interface Place {
  readonly host: string
  readonly port: number
}

/**
 * Where `HOST` (127.0.0.1) and `PORT` (3000; 0 lets the system choose) say that an example listens.
 * @throws StartError unless `PORT` is a port
 */
export function placeFrom (env: NodeJS.ProcessEnv): Place {
  const host = env['HOST'] || '127.0.0.1'
  const port = env['PORT'] || '3000'
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new StartError(`PORT must be a whole number from 0 to 65535; got ${JSON.stringify(port)}.`)
  }
  return { host, port: Number(port) }
}

/**
 * Listens, and closes the app at SIGINT and SIGTERM.
 * @returns the address to open in a browser
 * @throws StartError if it cannot listen there
 */
export async function listen (app: FastifyInstance, place: Place): Promise<string> {
  try {
    await app.listen(place)
  } catch (error) {
    throw new StartError(explain(error as NodeJS.ErrnoException, place), { cause: error })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, async () => { await app.close() })
  return addressOf(app.server.address() as AddressInfo)
}

function explain ({ code, message }: NodeJS.ErrnoException, { host, port }: Place): string {
  switch (code) {
    case 'EADDRINUSE': return `Port ${port} of ${host} is in use: choose another with PORT.`
    case 'EACCES': return `Port ${port} of ${host} is reserved for the administrator: choose one from 1024 up with PORT.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND': return `HOST must be an address of this machine; got ${JSON.stringify(host)}.`
    default: return `Cannot listen on port ${port} of ${host}: ${message}`
  }
}

function addressOf ({ address, family, port }: AddressInfo): string {
  if (address === '0.0.0.0' || address === '::') return `http://localhost:${port}`
  return family === 'IPv6' ? `http://[${address}]:${port}` : `http://${address}:${port}`
}
