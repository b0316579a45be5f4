import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/** Connections whose answers can be held back, on loopback: those that hear of changes (`feed`), or all. */
export interface HoldingProxy {
  readonly url: string
  readonly port: number
  /** From now on answers wait in the proxy, those on new connections too. */
  hold (which: 'feed' | 'all'): void
  /** Passes on what has waited. */
  release (): void
}

export async function holdingProxy (t: Test, target: number): Promise<HoldingProxy> {
  const sockets = new Set<Socket>()
  const waiting: Array<() => void> = []
  let held: 'feed' | 'all' | undefined
  const proxy = createServer((client) => {
    const server = connect(target, '127.0.0.1')
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {}).once('close', () => {
        sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
    let isFeed = false
    client.on('data', (call) => {
      isFeed ||= call.includes('TRACKING')
      server.write(call)
    })
    server.on('data', (answer) => {
      if (held === 'all' || (held === 'feed' && isFeed)) waiting.push(() => { client.write(answer) })
      else client.write(answer)
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = proxy.address() as AddressInfo
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    hold: (which) => { held = which },
    release () {
      held = undefined
      for (const pass of waiting.splice(0)) pass()
    },
  }
}
