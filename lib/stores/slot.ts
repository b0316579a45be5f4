/**
 * Returns the slot of an id, one of 256. A session keeps its slot when it is renewed, so that a clustered store that keeps a
 * slot on one server can renew in one atomic step. Authors of such stores put it into their keys.
 *
 * @example
 * ```ts
 * import { slotOf } from 'fastify-request-session'
 *
 * const keyOf = (id: string): string => `session:{${slotOf(id)}}${id}`
 * console.log(keyOf('kYx0')) // session:{k1}kYx0
 * ```
 */
export function slotOf (id: string): string {
  return id.charAt(0) + (id.charCodeAt(1) & 3)
}
