import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A TCP proxy in front of a server, which can lose a message or an answer. */
export interface Proxy {
  readonly url: string
  /** From now on the next message of the client still reaches the server, and the connection is cut in place of the answer. */
  loseNextAnswer (): void
  /** From now on the connection is cut in place of the client's next message. */
  loseNextMessage (): void
  /** From now on the server's answers are held back, until the returned function is called. */
  holdAnswers (): () => void
}

export async function proxyForTest (t: Test, url: string): Promise<Proxy> {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  let held: Array<() => void> | undefined
  let lose: 'nothing' | 'message' | 'answer' = 'nothing'

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    let losesAnswer = false
    const cut = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => {
        sockets.delete(socket)
        cut()
      })
    }
    client.on('data', (chunk) => {
      if (lose === 'message') {
        lose = 'nothing'
        return cut()
      }
      if (lose === 'answer') {
        lose = 'nothing'
        losesAnswer = true
      }
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (losesAnswer) cut()
      else if (held === undefined) client.write(chunk)
      else held.push(() => { client.write(chunk) })
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return {
    url: `bolt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    loseNextAnswer: () => { lose = 'answer' },
    loseNextMessage: () => { lose = 'message' },
    holdAnswers: () => {
      const answers = held = []
      return () => {
        held = undefined
        for (const answer of answers as Array<() => void>) answer()
      }
    },
  }
}
