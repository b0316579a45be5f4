import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'
import { barrier } from './barrier.js'

/** A connection that gets stuck: a proxy on loopback. */
export interface StallingProxy {
  readonly url: string
  /** Resolves once the connection is stuck. */
  readonly stalled: Promise<void>
}

/** Passes on everything up to the first call of a command, and from there on nothing. */
export async function stallingProxy (t: Test, target: number, command: string): Promise<StallingProxy> {
  const sockets = new Set<Socket>()
  const { opened, open } = barrier()
  const proxy = createServer((client) => {
    const server = connect(target, '127.0.0.1')
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {}).once('close', () => {
        client.destroy()
        server.destroy()
      })
    }
    server.pipe(client)
    let stuck = false
    client.on('data', (call) => {
      stuck ||= call.toString('latin1').toLowerCase().includes(command)
      if (stuck) open()
      else server.write(call)
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  })
  return { url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`, stalled: opened }
}
