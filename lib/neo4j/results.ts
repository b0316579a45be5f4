import type { Neo4jResult } from './driver-types.js'
import { insertPrototype, overrideMethod } from '../util/method-override.js'

const kUse = Symbol('fastify-request-session.use')
const kOnError = Symbol('fastify-request-session.onError')

/** `collected`: somebody waits for all of its records. `streamed`: somebody reads it record by record. */
interface Observed extends Neo4jResult {
  [kUse]: 'unread' | 'collected' | 'streamed'
  [kOnError]: ((error: unknown) => void) | undefined
}

/** Observed prototypes of results, by the driver's own. */
const prototypes = new WeakMap<object, object>()

/** The results that a scope's queries gave, as far as they may still be under way. */
export class Results {
  #results: Observed[] = []

  /** @param onError is told the error of a result that somebody collects */
  add (result: Neo4jResult, onError?: (error: unknown) => void): Neo4jResult {
    const observed = observe(result as Observed, onError)
    if (this.#results.length > 0) this.#results = this.#results.filter((earlier) => earlier.isOpen())
    this.#results.push(observed)
    return observed
  }

  /** True while a result is read record by record. */
  get areStreamed (): boolean {
    return this.#results.some((result) => result[kUse] === 'streamed' && result.isOpen())
  }

  /** True if a query may be under way that nobody reads record by record. */
  get areUnfinished (): boolean {
    return this.#results.some((result) => result[kUse] !== 'streamed' && result.isOpen())
  }

  /** Waits for all queries but those that are read record by record. Rejects with the error of a query that nobody else waits for. */
  async finish (): Promise<void> {
    while (this.areUnfinished) {
      const [streamed, others] = [[] as Observed[], [] as Observed[]]
      for (const result of this.#results) (result[kUse] === 'streamed' ? streamed : others).push(result)
      this.#results = streamed
      for (const result of others) if (result.isOpen()) await finished(result)
    }
  }
}

async function finished (result: Observed): Promise<void> {
  // The summary discards records that have not arrived yet: nobody must be collecting them.
  if (result[kUse] === 'unread') await result.summary()
  else await Promise.resolve(result.then()).catch(() => {})
}

function observe (result: Observed, onError: Observed[typeof kOnError]): Observed {
  result[kUse] = 'unread'
  result[kOnError] = onError
  insertPrototype(result, prototypes, (prototype) => {
    for (const name of ['then', 'catch', 'finally']) {
      overrideMethod<Observed>(prototype, name, (react) => function (...reactions) {
        if (this[kUse] === 'unread') {
          this[kUse] = 'collected'
          const onError = this[kOnError]
          if (onError !== undefined) this.then(undefined, onError)
        }
        return Reflect.apply(react, this, reactions)
      })
    }
    for (const name of ['subscribe', Symbol.asyncIterator]) {
      overrideMethod<Observed>(prototype, name, (read) => function (...args) {
        if (this[kUse] === 'unread') this[kUse] = 'streamed' // a driver before 6 collects by subscribe()
        return Reflect.apply(read, this, args)
      })
    }
  })
  return result
}
