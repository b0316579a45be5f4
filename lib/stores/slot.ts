/**
 * The slot of an id, one of 256. A session keeps its slot when it is renewed, so that a clustered store that keeps a
 * slot on one server can renew in one atomic step.
 *
 * @example
 * ```ts
 * slotOf('kYx0…') // 'k1'
 * ```
 */
export function slotOf (id: string): string {
  return id.charAt(0) + (id.charCodeAt(1) & 3)
}
