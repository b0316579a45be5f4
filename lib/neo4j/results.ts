import type { Neo4jResult } from './driver-types.js'
import { insertPrototype, overrideMethod } from '../util/method-override.js'

const kUse = Symbol('fastify-request-session.use')
const kOnError = Symbol('fastify-request-session.onError')

/** `collected`: the caller waits for all of its records. `streamed`: the caller reads it record by record. */
interface Observed extends Neo4jResult {
  [kUse]: 'unread' | 'collected' | 'streamed'
  [kOnError]: ((error: unknown) => void) | undefined
}

/** Observed prototypes of results, by the driver's own. */
const prototypes = new WeakMap<object, object>()

/** The results of a scope's queries that may still be running. */
export class Results {
  #results: Observed[] = []

  /** @param onError called with the error of a collected result */
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

  /** True if a query may be running that is not read record by record. */
  get areUnfinished (): boolean {
    return this.#results.some((result) => result[kUse] !== 'streamed' && result.isOpen())
  }

  /** Waits for all queries except those that are read record by record. Rejects with the error of an unawaited query. */
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
  // The summary discards records that have not arrived yet, so it must not be read while they are collected.
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
