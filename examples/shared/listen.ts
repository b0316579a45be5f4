import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
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
 * @returns the address to open in a browser here
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

/** The address for a phone in the same network; `undefined` where the app listens for this machine alone, or the machine is in no network. */
export function addressForPhone (app: FastifyInstance): string | undefined {
  const { address, port } = app.server.address() as AddressInfo
  const addresses = Object.values(networkInterfaces()).flatMap((found = []) => found.filter(({ family, internal }) => family === 'IPv4' && !internal))
  const reached = isAny(address) ? addresses[0] : addresses.find((found) => found.address === address)
  return reached && `http://${reached.address}:${port}`
}

function isAny (address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

function addressOf ({ address, family, port }: AddressInfo): string {
  if (isAny(address)) return `http://localhost:${port}`
  return family === 'IPv6' ? `http://[${address}]:${port}` : `http://${address}:${port}`
}
