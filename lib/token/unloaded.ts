import { inspect } from 'node:util'
import { SessionNotLoadedError } from '../errors.js'
import { SessionDescription } from './session-description.js'
import type { SessionState } from './session-state.js'
import { TokenSession } from './session.js'
import { refusingProperties } from './values.js'

export const kLoading = Symbol('fastify-request-session.loading')

/** A promise of a session, while the session is read from the store. */
export interface Unloaded {
  [kLoading]: Pick<SessionState, 'phase'> & { readonly loaded: TokenSession | undefined }
}

/** The members of a session, for promises of one: a method or a getter by its name. */
const members = [SessionDescription, TokenSession].flatMap(({ prototype }) => Object.entries(Object.getOwnPropertyDescriptors(prototype)))
  .filter(([name]) => !['constructor', 'then', 'toJSON'].includes(name))

/** After the request's end a promise's session can be read, for log serializers. */
function readable ({ [kLoading]: { loaded, phase } }: Unloaded, what: string): TokenSession | undefined {
  if (phase !== 'closed') throw new SessionNotLoadedError(what)
  return loaded
}

/** A member of a promise of a session: it throws that the session is not loaded. */
function memberOf ([name, { value }]: typeof members[number]): [string, PropertyDescriptor & ThisType<Unloaded>] {
  if (typeof value !== 'function') {
    return [name, {
      get () { return Reflect.get(readable(this, name) ?? {}, name) as unknown },
      set () { throw new SessionNotLoadedError(name) },
    }]
  }
  return [name, {
    value (this: Unloaded, ...args: unknown[]) {
      const loaded = readable(this, `${name}()`)
      return loaded && Reflect.apply(value, loaded, args) as unknown
    },
  }]
}

/** Omits values and the token, as a session does: they must not reach logs. */
function inspectUnloaded (this: Unloaded, _depth: number, options: object): string {
  const { loaded } = this[kLoading]
  return `Promise { ${loaded === undefined ? '<pending>' : inspect(loaded, options)} }`
}

/**
 * The prototype of a promise whose session members throw that the session is not loaded, and which refuses other properties. It is still
 * a promise, and awaits as fast as any: the members of promises are found here, before the slower last prototype.
 */
export const unloadedPrototype = Object.create(refusingProperties(Object.create(Promise.prototype) as object), {
  ...Object.getOwnPropertyDescriptors(Promise.prototype),
  ...Object.fromEntries(members.map(memberOf)),
  [kLoading]: { value: undefined, writable: true },
  [inspect.custom]: { value: inspectUnloaded },
}) as object

/** Members that only read: without a session they give `undefined`. */
const looks = new Set(['get', 'has', 'keys', 'entries', 'find', 'data', 'size', 'token', 'id', 'name', 'label', 'shared', 'subject', 'isNew', 'ended', 'degraded', 'createdAt', 'freshAt', 'lastUsedAt', 'expiresAt', 'ttl'])

/** A session that is not opened yet: awaiting it opens it, and reading a member gives `undefined`. */
export class StandIn implements Promise<TokenSession> {
  readonly [Symbol.toStringTag] = 'Promise'
  readonly #open: () => Promise<TokenSession>

  static {
    for (const [name, { value }] of members) {
      const get = (): unknown => {
        if (!looks.has(name)) throw new SessionNotLoadedError(name)
        return undefined
      }
      Object.defineProperty(this.prototype, name, typeof value === 'function' ? { value: get } : { get, set () { throw new SessionNotLoadedError(name) } })
    }
    Object.setPrototypeOf(this.prototype, refusingProperties({}))
  }

  constructor (open: () => Promise<TokenSession>) {
    this.#open = open
  }

  then<A = TokenSession, B = never> (
    onFulfilled?: ((session: TokenSession) => A | PromiseLike<A>) | null, onRejected?: ((error: unknown) => B | PromiseLike<B>) | null
  ): Promise<A | B> {
    return this.#opened().then(onFulfilled, onRejected)
  }

  catch<B = never> (onRejected?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<TokenSession | B> {
    return this.#opened().catch(onRejected)
  }

  finally (onFinally?: (() => void) | null): Promise<TokenSession> {
    return this.#opened().finally(onFinally)
  }

  async #opened (): Promise<TokenSession> {
    return this.#open()
  }
}
