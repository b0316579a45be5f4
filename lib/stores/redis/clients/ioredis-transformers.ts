import { isDeepStrictEqual } from 'node:util'
import type { CommandName } from './connection.js'

/** A command as ioredis prepares it for its pipelines. */
interface PreparedCommand {
  readonly args: readonly unknown[]
  transformReply (reply: unknown): unknown
}

/** A call of a command, and the place of its key among the arguments. */
const sampleCalls: ReadonlyArray<readonly [name: CommandName | 'subscribe' | 'unsubscribe', key: number, ...args: string[]]> = [
  ['hgetall', 0, 'k'], ['hget', 0, 'k', 'f'], ['hlen', 0, 'k'], ['pttl', 0, 'k'], ['zscan', 0, 'k', '0', 'COUNT', '9'], ['zrem', 0, 'k', 'a', 'b'],
  ['evalsha', 2, 'sha', '1', 'k', 'a'], ['eval', 2, 'text', '1', 'k', 'a'],
  ['scan', -1, '0', 'MATCH', 'a*', 'COUNT', '9'], ['info', -1], ['subscribe', -1, 'a', 'b'], ['unsubscribe', -1, 'a'],
]
const sampleReplies = [null, 0, 7, '', 'text', '1', '{"a":1}', [], ['0', ['a', '1'], [2, null]]]
const sampleHash = ['', 'text', 'a', '{"a":1}']

/**
 * Finds a command of which the client changes the arguments or the reply: ioredis has transformers, which apply to all clients
 * of the process. The commands are prepared as the pipeline does it, and not sent.
 */
export function findTransformed (client: { pipeline (): object }, keyPrefix: string): { name: string, changes: 'arguments' | 'reply' } | undefined {
  let prepared: PreparedCommand | undefined
  const pipeline: object = Object.assign(client.pipeline(), { sendCommand: (command: PreparedCommand) => { prepared = command } })
  for (const [name, key, ...args] of sampleCalls) {
    (pipeline as Record<string, (args: string[]) => void>)[name]?.([...args])
    if (prepared === undefined) return undefined // a client that prepares them differently
    const { args: sent } = prepared
    if (!isDeepStrictEqual(sent.map(String), args.map((arg, i) => i === key ? keyPrefix + arg : arg))) return { name, changes: 'arguments' }
    if (!keepsReplies(prepared, name)) return { name, changes: 'reply' }
  }
  return undefined
}

function keepsReplies (command: PreparedCommand, name: string): boolean {
  const transform = (reply: unknown): unknown => command.transformReply(structuredClone(reply))
  try {
    if (name !== 'hgetall') return sampleReplies.every((reply) => isDeepStrictEqual(transform(reply), reply))
    return isDeepStrictEqual({ ...transform(sampleHash) as object }, { '': 'text', a: '{"a":1}' }) && Object.keys(transform([]) ?? {}).length === 0
  } catch {
    return false // it expects replies of its own kind
  }
}
