import { createInterface } from 'node:readline/promises'
import { canFetchRavenDB, fetchRavenDB } from '../../test/support/servers/ravendb.js'

/** What the server takes. */
const size = '241 MB, 633 MB unpacked'

/**
 * Offers to get the RavenDB that is missing, and gets it. Without a terminal to ask at, `RAVENDB_FETCH=yes` is the answer.
 * @returns false if it is not wanted, or not all that is missing
 * @throws Error if it cannot be had
 */
export async function offerRavenDB (): Promise<boolean> {
  if (!canFetchRavenDB() || !await isWanted()) return false
  await fetchRavenDB()
  return true
}

async function isWanted (): Promise<boolean> {
  if (process.env['RAVENDB_FETCH'] === 'yes') return true
  if (!process.stdin.isTTY) {
    console.error(`RavenDB is not on this machine. RAVENDB_FETCH=yes gets it (${size}).`)
    return false
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`RavenDB is not on this machine. Get it now, once (${size})? [y/N] `)
  terminal.close()
  return /^y(es)?$/i.test(answer.trim())
}
