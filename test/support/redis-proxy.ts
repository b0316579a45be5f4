import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'
import { barrier } from './barrier.js'

interface Proxy {
  readonly url: string
}

/** A connection that loses an answer. */
export interface CuttingProxy extends Proxy {
  /** The next answer that comes is not passed on: its connection is cut instead. */
  cutNext (): void
}

export async function cuttingProxy (t: Test, target: number): Promise<CuttingProxy> {
  let cutting = false
  const url = await proxyOf(t, () => target, (client, server) => {
    client.pipe(server)
    server.on('data', (answer) => {
      if (!cutting) {
        client.write(answer)
        return
      }
      cutting = false
      client.destroy()
    })
  })
  return { url, cutNext: () => { cutting = true } }
}

/** A connection that gets stuck. */
export interface StallingProxy extends Proxy {
  /** Resolves once the connection is stuck. */
  readonly stalled: Promise<void>
}

/** Passes on everything up to the first call of a command, and from there on nothing. */
export async function stallingProxy (t: Test, target: number, command: string): Promise<StallingProxy> {
  const { opened, open } = barrier()
  const url = await proxyOf(t, () => target, (client, server) => {
    server.pipe(client)
    let stuck = false
    client.on('data', (call) => {
      stuck ||= call.toString('latin1').toLowerCase().includes(command)
      if (stuck) open()
      else server.write(call)
    })
  })
  return { url, stalled: opened }
}

/** What can be held back: answers on connections that hear of changes, on all, or only the messages about changes. */
type Held = 'feed' | 'all' | 'messages'

/** Connections whose answers can be held back. */
export interface HoldingProxy extends Proxy {
  /** From now on answers wait in the proxy, those on new connections too. */
  hold (which: Held): void
  /** Passes on what has waited. */
  release (): void
  /** New connections go to another server. */
  turnTo (port: number): void
}

export async function holdingProxy (t: Test, target: number): Promise<HoldingProxy> {
  const waiting: Array<() => void> = []
  let held: Held | undefined
  let port = target
  const url = await proxyOf(t, () => port, (client, server) => {
    let isFeed = false
    client.on('data', (call) => {
      isFeed ||= call.includes('TRACKING')
      server.write(call)
    })
    server.on('data', (answer) => {
      if (held === 'all' || (held === 'feed' && isFeed) || (held === 'messages' && answer.includes('\r\nmessage\r\n'))) waiting.push(() => { client.write(answer) })
      else client.write(answer)
    })
  })
  return {
    url,
    hold: (which) => { held = which },
    release () {
      held = undefined
      for (const pass of waiting.splice(0)) pass()
    },
    turnTo: (other) => { port = other },
  }
}

/**
 * A proxy on loopback in front of a Redis, closed when the test is over.
 * @param target the server's port, asked for at each connection
 * @param join passes on what comes from either side
 */
async function proxyOf (t: Test, target: () => number, join: (client: Socket, server: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const proxy = createServer((client) => {
    const server = connect(target(), '127.0.0.1')
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {}).once('close', () => {
        sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
    join(client, server)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  })
  return `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}
