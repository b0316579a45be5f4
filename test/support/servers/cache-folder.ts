import { homedir } from 'node:os'
import { join } from 'node:path'

/** A path in the folder outside the checkout where `fetch-neo4j.sh` and `fetch-ravendb.sh` keep the servers. */
export function cacheFolder (name: string): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'fastify-request-session', name)
}
