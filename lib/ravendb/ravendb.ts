import type { IDocumentSession, IDocumentStore, SessionOptions } from 'ravendb'
import { describeType, withMethods } from '../util/option-rules.js'
import { deadlinesOf, type Deadlines } from '../util/call-timeouts.js'
import { OptionError } from '../errors.js'
import { pingOf, trySession, Unchecked, type Pinging } from '../core/health.js'
import type { OpenContext, OpenSession, SessionOpener, SessionProvider } from '../core/provider.js'
import type { DocumentSessionFrom, RavenStore } from './client-types.js'
import { SessionGuard } from './session-guard.js'
import { defaults, mapConcurrency, mergeConventions, mergeOptions, mergeRequestOptions, withExecutor, type CheckedOptions } from './merge-options.js'
import type { RavenCallOptions, RavenOptionsOf, RavenSessionOptions } from './options.js'
import { protectSession } from './protect-session.js'

/**
 * Gives each request a document session of RavenDB: the result of `ravenSessions()`.
 *
 * @example
 * ```ts
 * import { DocumentStore } from 'ravendb'
 * import { ravenSessions, type RavenProvider } from 'fastify-request-session'
 *
 * const store = new DocumentStore(process.env.RAVENDB_URL ?? 'http://localhost:8080', 'shop').initialize() as DocumentStore
 * const documents: RavenProvider<DocumentStore> = ravenSessions(store)
 * console.log(documents.kind)
 * store.dispose()
 * ```
 */
export interface RavenProvider<S extends RavenStore = RavenStore>
  extends SessionProvider<DocumentSessionFrom<S>, RavenSessionOptions<S>, RavenCallOptions<S>>, Pinging {
  readonly kind: 'document'
}

/** The id of a document that does not exist: its absence is an answer. */
const pingedDocument = 'fastify-request-session/ping'

const storeRule = withMethods('an initialised DocumentStore of RavenDB', 'openSession', 'getRequestExecutor')

/**
 * Document sessions: `request.<name>` is RavenDB's own session, opened at first use. `saveChanges()` is called before
 * the reply's headers are sent. If the handler fails or times out, the status is 400 or more, or the client leaves, nothing
 * is sent.
 *
 * @param documentStore stays open: the app disposes it
 * @param options a database, session options, or a function of the request that returns either; a route's options
 * override them
 * @throws OptionError (`FST_SESSION_OPTION`) for a wrong store or wrong options
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import { DocumentStore } from 'ravendb'
 * import requestSession, { ravenSessions } from 'fastify-request-session'
 *
 * const store = new DocumentStore(process.env.RAVENDB_URL ?? 'http://localhost:8080', 'shop').initialize()
 * const app = Fastify()
 * app.addHook('onClose', async () => store.dispose())
 * await app.register(requestSession, { name: 'documents', provider: ravenSessions(store, { commitTimeout: 5000 }) })
 * await app.close()
 * ```
 */
export function ravenSessions<S extends RavenStore> (documentStore: S, options?: RavenCallOptions<S> | RavenOptionsOf<S>): RavenProvider<S>
export function ravenSessions (documentStore: IDocumentStore, options?: RavenCallOptions | RavenOptionsOf): RavenProvider<IDocumentStore> {
  const name = 'ravenSessions()'
  if (!storeRule.test(documentStore)) throw new OptionError(name, `the first argument must be ${storeRule.allowed}; got ${describeType(documentStore)}`)
  const optionsOf = typeof options === 'function' ? options : undefined
  const checked = (options: CheckedOptions, where: string): CheckedOptions => {
    mapConcurrency(options.optimisticConcurrencyMode, documentStore, where)
    return options
  }
  const base = checked(mergeOptions(defaults, optionsOf === undefined ? options : undefined, name), name)

  function opener (fixed: CheckedOptions, routeOptions?: object): SessionOpener<IDocumentSession> {
    let fixedSettings: SessionSettings | undefined
    return {
      early: false,
      open ({ request, route }) {
        if (optionsOf === undefined || request === undefined) {
          // The store's conventions are final only once it is in use.
          fixedSettings ??= settingsOf(documentStore, fixed, route)
          return new ScopedDocumentSession(documentStore, fixedSettings, route)
        }
        const requestOptions: unknown = optionsOf(request)
        const origin = `the options that ${name} was given for ${route}`
        const merged = mergeOptions(mergeRequestOptions(base, requestOptions, origin), routeOptions, route)
        return new ScopedDocumentSession(documentStore, settingsOf(documentStore, merged, route), route)
      },
    }
  }

  return {
    kind: 'document',
    commits: 'success',
    forRoute: (routeOptions, where, others) => opener(checked(mergeOptions(base, routeOptions, where, others), where), routeOptions),
    forCall: (callOptions, where) => opener(checked(mergeOptions(base, callOptions, where), where)),
    ping: pingOf(async (signal) => {
      if (!(base.database ?? documentStore.database)) throw new Unchecked('each request has a database of its own')
      await trySession(opener({ ...base, noCaching: true }), signal, (session) => session.load(pingedDocument))
    }),
  }
}

/** Settings to open sessions with, made once for all sessions of a route or call. */
interface SessionSettings {
  readonly database: string
  readonly native: SessionOptions
  /** Optimistic concurrency for clients without the option: see `mapConcurrency()`. */
  readonly useOptimisticConcurrency: boolean | undefined
  /** Deadlines of the saves. */
  readonly deadlines: Deadlines
}

/** @throws OptionError (`FST_SESSION_OPTION`) if no database is named */
function settingsOf (store: IDocumentStore, options: CheckedOptions, where: string): SessionSettings {
  const database = options.database ?? store.database
  if (!database) throw new OptionError(where, 'no database: name one in the session\'s options, or give the DocumentStore a default one')
  const native = mergeConventions(options, store.conventions)
  const useOptimisticConcurrency = mapConcurrency(native.optimisticConcurrencyMode, store, where)
  return { database, native, useOptimisticConcurrency, deadlines: deadlinesOf(options.commitTimeout ?? defaults.commitTimeout) }
}

/** A document session within one scope, under its guard. */
class ScopedDocumentSession implements OpenSession<IDocumentSession> {
  readonly session: IDocumentSession
  readonly #tracks: boolean
  readonly #guard: SessionGuard

  constructor (store: IDocumentStore, { database, native, useOptimisticConcurrency, deadlines }: SessionSettings, route: OpenContext['route']) {
    const executor = native.requestExecutor ?? store.getRequestExecutor(database)
    this.#guard = new SessionGuard(executor, { database, route }, deadlines)
    this.#tracks = native.noTracking !== true
    this.session = store.openSession(withExecutor(native, this.#guard.executor))
    if (useOptimisticConcurrency !== undefined) this.session.advanced.useOptimisticConcurrency = useOptimisticConcurrency
    protectSession(this.session, this.#guard)
  }

  /**
   * Waits for unawaited calls of the handler: their documents would be missing. Then saves
   * without calling `hasChanges()`, which compares all loaded documents as the save does, and misses
   * compare-exchange values. An empty save sends nothing. Without tracking the client saves nothing: the save is
   * called only if the handler has prepared one, and throws.
   */
  commit (): Promise<void> | void {
    const idle = this.#guard.whenIdle()
    return idle === undefined ? this.#save() : this.#saveAfter(idle)
  }

  /** A call that fails drops the work: until the session is closed, a hook could still save it. */
  async #saveAfter (calls: Promise<void>): Promise<void> {
    try {
      await calls
    } catch (error) {
      this.rollback()
      throw error
    }
    await this.#save()
  }

  #save (): Promise<void> | void {
    try {
      return this.#tracks || this.#guard.mayHaveChanges ? this.session.saveChanges() : undefined
    } finally {
      this.#guard.settle()
    }
  }

  rollback (): void {
    this.session.advanced.clear()
    this.#guard.settle()
  }

  /** Also clears a tracking session: objects taken from it, such as counters, would continue to answer from its cache. */
  close (): void {
    try {
      this.session.dispose()
      if (this.#tracks) this.session.advanced.clear()
    } finally {
      this.#guard.close()
    }
  }
}
