import type { FastifyRequest } from 'fastify'
import type { IDocumentSession, IDocumentStore, SessionOptions } from 'ravendb'
import { describeType, withMethods } from '../util/option-rules.js'
import { deadlinesOf, type Deadlines } from '../util/call-timeouts.js'
import { OptionError } from '../errors.js'
import { isPromise } from '../util/maybe-promise.js'
import type { OpenContext, OpenSession, SessionOpener, SessionProvider } from '../core/provider.js'
import { SessionGuard } from './session-guard.js'
import { mergeOptions, overConventions, withExecutor, type CheckedOptions, type RavenSessionOptions } from './options.js'
import { protectSession } from './protect-session.js'

/** The name of a database, or session options. */
export type RavenCallOptions = string | RavenSessionOptions

/** Session options that depend on the request: a database for each tenant. Checked on each request, before anything is opened. */
export type RavenOptionsOf = (request: FastifyRequest) => RavenCallOptions | undefined

/** Gives each request a document session of RavenDB. */
export interface RavenProvider extends SessionProvider<IDocumentSession, RavenSessionOptions, RavenCallOptions> {
  readonly kind: 'document'
}

const storeRule = withMethods('an initialised DocumentStore of RavenDB', 'openSession', 'getRequestExecutor')
const defaults = Object.freeze({ commitTimeout: 15_000 })

/**
 * Document sessions: `request.<name>` is RavenDB's own session, opened at first use. `saveChanges()` is called before
 * the reply's headers leave, and nothing is sent where the request fails.
 *
 * @param documentStore stays the caller's, who disposes it
 * @param options a database, session options, or a function of the request that gives either; a route's own options
 * go over them
 * @throws OptionError (`FST_SESSION_OPTION`)
 */
export function ravenSessions (documentStore: IDocumentStore, options?: RavenCallOptions | RavenOptionsOf): RavenProvider {
  const name = 'ravenSessions()'
  if (!storeRule.test(documentStore)) throw new OptionError(name, `the first argument must be ${storeRule.allowed}; got ${describeType(documentStore)}`)
  const optionsOf = typeof options === 'function' ? options : undefined
  const base = mergeOptions(defaults, optionsOf === undefined ? options : undefined, name)

  function opener (own: CheckedOptions, route?: RavenSessionOptions): SessionOpener<IDocumentSession> {
    let settled: SessionSettings | undefined
    return {
      early: false,
      open ({ request, route: where }) {
        if (optionsOf === undefined || request === undefined) {
          // Only now: the store's conventions are final once it is in use.
          settled ??= settingsOf(documentStore, own, where)
          return new OpenDocumentSession(documentStore, settled, where)
        }
        const asked: unknown = optionsOf(request)
        const what = `the options that ${name} was given for ${where}`
        if (isPromise(asked)) throw new OptionError(what, 'must not be a promise: what they depend on is to be there before the session is opened')
        return new OpenDocumentSession(documentStore, settingsOf(documentStore, mergeOptions(mergeOptions(base, asked, what), route, where), where), where)
      },
    }
  }

  return {
    kind: 'document',
    commits: 'success',
    forRoute: (routeOptions, where) => opener(mergeOptions(base, routeOptions, where), routeOptions),
    forCall: (callOptions, where) => opener(mergeOptions(base, callOptions, where)),
  }
}

/** What sessions of one kind are opened with. */
interface SessionSettings {
  readonly database: string
  readonly native: SessionOptions
  /** Of the saves. */
  readonly deadlines: Deadlines
}

/** @throws OptionError (`FST_SESSION_OPTION`) if no database is named */
function settingsOf (store: IDocumentStore, options: CheckedOptions, where: string): SessionSettings {
  const database = options.database ?? store.database
  if (!database) throw new OptionError(where, 'no database: name one in the session\'s options, or give the DocumentStore a default one')
  return { database, native: overConventions(options, store.conventions), deadlines: deadlinesOf(options.commitTimeout ?? defaults.commitTimeout) }
}

class OpenDocumentSession implements OpenSession<IDocumentSession> {
  readonly session: IDocumentSession
  readonly #tracks: boolean
  readonly #guard: SessionGuard

  constructor (store: IDocumentStore, { database, native, deadlines }: SessionSettings, route: OpenContext['route']) {
    const executor = native.requestExecutor ?? store.getRequestExecutor(database)
    this.#guard = new SessionGuard(executor, { database, route }, deadlines)
    this.#tracks = native.noTracking !== true
    this.session = store.openSession(withExecutor(native, this.#guard.executor))
    protectSession(this.session, this.#guard)
  }

  beforeHeaders (): void {}

  /**
   * Saves without asking `hasChanges()`, which compares all that was loaded, as the save does, and knows nothing of
   * compare-exchange values; an empty save sends nothing. Without tracking there is nothing to compare, and nothing that
   * the client would save: the save only says so, if the handler has prepared one.
   */
  commit (): Promise<void> | void {
    const saved = this.#tracks || this.#guard.mayHaveChanges ? this.session.saveChanges() : undefined
    this.#guard.settle()
    return saved
  }

  rollback (): void {
    this.session.advanced.clear()
    this.#guard.settle()
  }

  /** What was taken from the session, such as counters, would go on answering from what it remembers. Without tracking it remembers nothing. */
  close (): void {
    try {
      this.session.dispose()
      if (this.#tracks) this.session.advanced.clear()
    } finally {
      this.#guard.close()
    }
  }
}
