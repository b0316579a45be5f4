import type { CommitResult, SessionChange, SessionRecord, SessionStore, Successor } from 'fastify-request-session'
import { note, type Step } from './entry.js'

type Told = { [Name in 'load' | 'create' | 'commit' | 'renew' | 'regenerate' | 'end']: (args: Parameters<SessionStore[Name]>, result: Awaited<ReturnType<SessionStore[Name]>>) => Step }

/** Says of each call what it did. */
const told: Told = {
  load: ([id], found) => found === undefined
    ? { what: 'read', text: `there is no session ${short(id)}` }
    : isSuccessor(found)
      ? { what: 'read', text: `${short(id)} was given up: its successor is ${short(found.successor)}` }
      : { what: 'read', text: `session ${nameOf(id, found)}: ${keysOf(found)}` },
  create: ([id, record], done) => done
    ? { what: 'created', text: `session ${nameOf(id, record)}: ${keysOf(record)}`, tone: 'good' }
    : { what: 'created', text: `${nameOf(id, record)} is taken`, tone: 'bad' },
  commit: ([id, change], result) => committed(`session ${short(id)}`, change, result),
  renew: ([id, newId, change], result) => committed(`new token, ${short(id)} becomes ${short(newId)}`, change, result),
  regenerate: ([id, newId, record], done) => done
    ? { what: 'regenerated', text: `new session ${short(newId)} in place of ${short(id)}: ${keysOf(record)}`, tone: 'good' }
    : { what: 'regenerated', text: `${short(newId)} is taken`, tone: 'bad' },
  end: ([id], done) => ({ what: 'ended', text: done === true ? `session ${short(id)} is deleted` : `there is no session ${short(id)}` }),
}

/** The same store, with each read and write of a session told to the drawer: ids and keys, no values. */
export function watchStore<Store extends SessionStore> (store: Store): Store {
  const place = store.keyspace === undefined ? 'memory' : 'Redis'
  return new Proxy(store, {
    get (target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      const tell = name in told ? told[name as keyof Told] as (args: unknown[], result: unknown) => Step : undefined
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, target, args)
        if (tell === undefined) return result
        const noteResult = (answer: unknown): void => {
          const { text, ...step } = tell(args, answer)
          note({ ...step, text: `${place}: ${text}` })
        }
        if (!(result instanceof Promise)) {
          noteResult(result)
          return result
        }
        return result.then((answer) => {
          noteResult(answer)
          return answer
        }, (error: unknown) => {
          note({ what: String(name), text: `${place} did not answer`, tone: 'bad' })
          throw error
        })
      }
    },
  })
}

function committed (session: string, change: SessionChange, result: CommitResult): Step {
  switch (result.status) {
    case 'committed': return { what: 'written', text: `${session}: ${changesOf(change)}`, tone: 'good' }
    case 'conflict': return { what: 'written', text: `${session}: another request was faster, so the change is made again from its result`, tone: 'bad' }
    case 'missing': return { what: 'written', text: `${session}: ended or expired meanwhile, nothing is written`, tone: 'bad' }
    case 'moved': return { what: 'written', text: `${session}: it has a new token since`, tone: 'bad' }
    case 'limit': return { what: 'written', text: `${session}: its user has as many sessions as he may have, nothing is written`, tone: 'bad' }
    case 'not-a-number': return { what: 'written', text: `${session}: ${result.key} is not a number`, tone: 'bad' }
  }
}

function changesOf ({ clear, set, remove, increment, ttl, subject, label, expiresAt }: SessionChange): string {
  const changes = [
    ...clear ? ['all removed'] : [],
    ...[...set.keys()].map((key) => `${key} set`),
    ...[...increment.keys()].map((key) => `${key} counted`),
    ...remove.map((key) => `${key} removed`),
    ...ttl !== undefined ? ['own lifetime'] : [],
    ...subject !== undefined ? ['subject'] : [],
    ...label !== undefined ? ['label'] : [],
  ]
  if (changes.length === 0) return expiresAt === undefined ? 'no key changed' : 'no key changed, the expiry slides'
  return changes.join(', ')
}

function keysOf ({ fields }: SessionRecord): string {
  return fields.size === 0 ? 'no keys' : [...fields.keys()].join(', ')
}

function nameOf (id: string, { name }: SessionRecord): string {
  return name === undefined ? short(id) : `“${name}”`
}

/** An id is a hash of the token, and opens nothing. */
function short (id: string): string {
  return `${id.slice(0, 6)}…`
}

function isSuccessor (found: SessionRecord | Successor): found is Successor {
  return 'successor' in found
}
