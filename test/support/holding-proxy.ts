import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/** What can be held back: answers on connections that hear of changes, on all, or only the messages about changes. */
type Held = 'feed' | 'all' | 'messages'

/** Connections whose answers can be held back, on loopback. */
export interface HoldingProxy {
  readonly url: string
  /** From now on answers wait in the proxy, those on new connections too. */
  hold (which: Held): void
  /** Passes on what has waited. */
  release (): void
  /** New connections go to another server. */
  turnTo (port: number): void
}

export async function holdingProxy (t: Test, target: number): Promise<HoldingProxy> {
  const sockets = new Set<Socket>()
  const waiting: Array<() => void> = []
  let held: Held | undefined
  let port = target
  const proxy = createServer((client) => {
    const server = connect(port, '127.0.0.1')
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
      if (held === 'all' || (held === 'feed' && isFeed) || (held === 'messages' && answer.includes('\r\nmessage\r\n'))) waiting.push(() => { client.write(answer) })
      else client.write(answer)
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    hold: (which) => { held = which },
    release () {
      held = undefined
      for (const pass of waiting.splice(0)) pass()
    },
    turnTo: (other) => { port = other },
  }
}
