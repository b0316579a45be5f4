import type { Test } from 'tap'
import { withServer } from '../servers/require.js'
import { findFaultsBetweenProcesses, type Address } from './two-processes.js'

/**
 * Asserts that histories of two processes on one server obey the laws of a session.
 * @param maxAge milliseconds that a read of each process's cache may be old; `undefined`: they have none
 */
export async function obeyLaws<Server extends { stop (): Promise<void> }> (t: Test, start: () => Promise<Server>, addressOf: (server: Server) => Address, count: number, maxAge?: number): Promise<void> {
  const server = await withServer(t, start)
  if (server === undefined) return
  const { faults, met, hits } = await findFaultsBetweenProcesses(addressOf(server), count, maxAge === undefined ? {} : { maxAge })
  t.strictSame(faults, [])
  t.ok(met > count / 2, `in ${met} of them requests of both processes have met`)
  if (maxAge !== undefined) t.ok(hits > count / 10, `${hits} reads were answered by the cache`)
}
