import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A connection that loses an answer: a proxy on loopback. */
export interface CuttingProxy {
  readonly url: string
  /** The next answer that comes is not passed on: its connection is cut instead. */
  cutNext (): void
}

export async function cuttingProxy (t: Test, target: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>()
  let cutting = false
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
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  })
  return { url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`, cutNext: () => { cutting = true } }
}
