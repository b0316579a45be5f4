import { ParameterError } from '../errors.js'

/** Levels of lists and maps within each other. The driver packs them recursively, and the server unpacks them so. */
const maxDepth = 500

/** Marks of the driver's graph types, which it refuses only after it has written half of a message. */
const graphTypes = ['__isNode__', '__isRelationship__', '__isUnboundRelationship__', '__isPath__', '__isPathSegment__']

/**
 * Refuses parameters that the driver cannot pack. It would detect them after half of the message is in the
 * connection's buffer, and the next request on that connection would fail.
 *
 * @param query the arguments of `run()`. With rules that map the parameters first (`parameterRules`) they are not checked
 * @param rulesAt the index of those rules
 * @throws ParameterError (`FST_SESSION_PARAMETER`)
 */
export function checkParameters (query: readonly unknown[], rulesAt: number): void {
  const [text, given] = query
  const inQuery = typeof text === 'object' && text !== null ? text as { parameters?: unknown, parameterRules?: unknown } : undefined
  if ((inQuery === undefined ? query[rulesAt] : inQuery.parameterRules) != null) return
  const parameters = inQuery === undefined ? given : inQuery.parameters
  if (typeof parameters !== 'object' || parameters === null) return
  for (const [name, value] of Object.entries(parameters)) {
    const problem = packingProblem(value)
    if (problem !== undefined) throw new ParameterError(name, problem)
  }
}

/** The reason why the driver cannot pack a value; `undefined` if it can. */
export function packingProblem (value: unknown, depth = 1): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return `it holds a ${typeof value}`
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined
  if (depth > maxDepth) return `it is circular, or nested more than ${maxDepth} levels deep`
  if (graphTypes.some((mark) => mark in value)) return 'it holds a node, relationship or path: pass its id or properties'
  for (const part of partsOf(value)) {
    const problem = packingProblem(part, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** The values of an object that the driver packs. Another kind of iterable may only be readable once, and is left to the driver. */
function partsOf (value: object): Iterable<unknown> {
  if (Array.isArray(value) || value instanceof Set || value instanceof Map) return value
  return Symbol.iterator in value ? [] : Object.values(value)
}
