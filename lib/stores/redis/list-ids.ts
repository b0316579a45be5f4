import type { RedisCalls } from './commands.js'
import { keyPrefix, servers } from './client.js'
import { SeenIds } from './seen-ids.js'

/** Keys that one SCAN looks at: a millisecond of the server's time at the most. */
const scanCount = 1000

/** The ids of all sessions, on all servers, in pages; each once. */
export async function * scanIds (calls: RedisCalls, prefix: string): AsyncGenerator<string[], undefined> {
  const head = keyPrefix(calls.client) + prefix
  const pattern = `${head.replace(/[*?[\]\\]/g, '\\$&')}{??}*`
  const seen = new SeenIds()
  await connected(calls, prefix)
  for (const server of servers(calls.client)) {
    let cursor = '0'
    do {
      const keys = await calls.read(server.scan(cursor, 'MATCH', pattern, 'COUNT', scanCount), ([next, keys]) => {
        cursor = next
        return keys
      })
      // Behind the prefix and the hash tag is the id.
      const ids = keys.filter((key) => !key.endsWith(':data')).map((key) => key.slice(head.length + 4))
      const page = ids.filter((id) => seen.add(id))
      if (page.length > 0) yield page
    } while (cursor !== '0')
  }
}

/** A cluster's client knows its servers once it has asked for something. */
async function connected (calls: RedisCalls, prefix: string): Promise<void> {
  if (servers(calls.client).length === 0) await calls.read(calls.client.hget(`${prefix}{}`, ''), () => {})
}
