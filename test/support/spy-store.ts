import type { SessionChange, SessionStore } from '../../lib/index.js'

type Method = 'load' | 'create' | 'commit' | 'renew' | 'regenerate' | 'end'

/** A store that passes every call on, remembers it, and fails where it is told to. */
export class SpyStore implements SessionStore {
  readonly calls: Array<{ method: Method, args: unknown[] }> = []
  /** What the named methods throw, or reject with, instead of doing anything. */
  failing: { error: unknown, methods?: Method[], sync?: boolean } | undefined
  /** Runs before the call is passed on. */
  before: ((method: Method) => void | Promise<void>) | undefined
  readonly #store: SessionStore

  constructor (store: SessionStore) {
    this.#store = store
  }

  load: SessionStore['load'] = (...args) => this.#pass('load', args, () => this.#store.load(...args))
  create: SessionStore['create'] = (...args) => this.#pass('create', args, () => this.#store.create(...args))
  commit: SessionStore['commit'] = (...args) => this.#pass('commit', args, () => this.#store.commit(...args))
  regenerate: SessionStore['regenerate'] = (...args) => this.#pass('regenerate', args, () => this.#store.regenerate(...args))
  renew: SessionStore['renew'] = (...args) => this.#pass('renew', args, () => this.#store.renew(...args))
  end: SessionStore['end'] = (...args) => this.#pass('end', args, () => this.#store.end(...args))
  close (): void | Promise<void> { return this.#store.close() }

  /** The calls since the last look. */
  take (): Method[] {
    return this.calls.splice(0).map(({ method }) => method)
  }

  /** The changes that were sent since the last look, their maps as plain objects. */
  takeChanges (): Array<Record<string, unknown>> {
    return this.calls.splice(0).flatMap(({ method, args }) => {
      const change = args[method === 'renew' ? 2 : 1] as SessionChange
      if (method !== 'commit' && method !== 'renew') return []
      return [Object.fromEntries(Object.entries(change)
        .map(([key, value]): [string, unknown] => [key, value instanceof Map ? Object.fromEntries(value) : value])
        .filter(([key, value]) => key !== 'from' && value !== undefined && value !== false && !isEmpty(value)))]
    })
  }

  #pass<T> (method: Method, args: unknown[], call: () => T | Promise<T>): T | Promise<T> {
    this.calls.push({ method, args })
    const { failing } = this
    if (failing !== undefined && (failing.methods?.includes(method) ?? true)) {
      if (failing.sync) throw failing.error
      return Promise.reject(failing.error)
    }
    const ready = this.before?.(method)
    return ready instanceof Promise ? ready.then(call) : call()
  }
}

function isEmpty (value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}
