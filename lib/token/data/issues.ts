import { stepOf } from '../values.js'
import type { SchemaIssue } from './options.js'

/** Maximum issues that an error names. */
const maxIssues = 5
/** Maximum characters of an issue's message. */
const maxMessage = 200
/** A message is omitted if it shares this many characters with a value: a schema may quote a part of it. */
const quotedLength = 12

/** The issues of a schema for an error: their places and messages. A message that quotes a value is omitted, since Fastify sends errors to the client. */
export function describeIssues (issues: readonly SchemaIssue[], data: unknown): string {
  const described = issues.slice(0, maxIssues).map(({ message, path = [] }) => {
    const keys = path.map((step) => typeof step === 'object' ? step.key : step)
    const place = keys.length === 0 ? 'the data' : keys.map(describeStep).join('')
    const found = keys.reduce<unknown>((value, key) => typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined, data)
    return quotes(message, found) ? `${place} does not fit` : `${place}: ${message.slice(0, maxMessage)}`
  })
  if (issues.length > maxIssues) described.push(`and ${issues.length - maxIssues} more`)
  return `${described.join('; ')}.`
}

function describeStep (key: PropertyKey, i: number): string {
  if (typeof key === 'number' || /^\d+$/.test(String(key))) return `[${String(key)}]`
  const step = stepOf(String(key))
  return i === 0 || step.startsWith('[') ? step : `.${step}`
}

/** True if a message contains a text or a number of the value, or the beginning of one. */
function quotes (message: string, value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some((part) => quotes(message, part))
  if (typeof value === 'string') return value !== '' && [value, JSON.stringify(value).slice(1)].some((text) => message.includes(text.slice(0, quotedLength)))
  return (typeof value === 'number' || typeof value === 'boolean') && message.includes(String(value))
}
