import type { IDocumentSession, RavenCommand, RequestExecutor, SessionInfo } from 'ravendb'
import type { Deadlines } from '../util/call-timeouts.js'
import { OutcomeUnknownError, SessionClosedError } from '../errors.js'
import { guardBody } from './answer-body.js'
import { limitError, readError, saveError, type Place } from './translate-errors.js'
import type { Until } from './session-members.js'

/** Milliseconds: what a timer of Node can wait at most. */
const longest = 2_147_483_647

type ExecuteOptions = Parameters<RequestExecutor['execute']>[2]

/** Keeps one session within its request: refuses what comes after its end, and gives its errors their names. */
export class SessionGuard {
  /** The executor to open the session with. */
  readonly executor: RequestExecutor
  readonly place: Place
  /** Whether something was used that prepares a save. What becomes of loaded documents is not seen here. */
  mayHaveChanges = false
  /** Of the saves. */
  readonly #deadlines: Deadlines
  #state: 'open' | 'settled' | 'closed' = 'open'
  /** A save that is putting its command together, to be told from a read. */
  #save: { sent: boolean } | undefined

  constructor (executor: RequestExecutor, place: Place, deadlines: Deadlines) {
    this.place = place
    this.#deadlines = deadlines
    this.executor = this.guardExecutor(executor)
  }

  /** From now on what would prepare a save is refused. */
  settle (): void {
    if (this.#state === 'open') this.#state = 'settled'
  }

  close (): void {
    this.#state = 'closed'
  }

  /** @throws SessionClosedError (`FST_SESSION_CLOSED`) */
  admit (until: Until): void {
    if (until === 'settled') this.mayHaveChanges = true
    if (until === 'ever' || this.#state === 'open') return
    if (this.#state === 'closed' || until === 'settled') throw this.#closedError()
  }

  /**
   * An executor that does what the given one does, for this session only. The sessions of other requests, and the
   * client's own business, go on with the given one.
   */
  guardExecutor (executor: RequestExecutor): RequestExecutor {
    const guarded = Object.create(executor) as RequestExecutor
    const execute = <Result> (command: RavenCommand<Result>, sessionInfo?: SessionInfo, options?: ExecuteOptions): Promise<void> =>
      this.#execute(executor, command, sessionInfo, options)
    guarded.execute = execute // for why not at once, see `guardBody()`
    return guarded
  }

  /** Runs the client's `saveChanges()`, and waits for it no longer than the deadline. */
  save (saveChanges: () => Promise<void>): Promise<void> {
    const save = this.#save = { sent: false }
    try {
      const saved = saveChanges()
      return save.sent ? this.#withDeadline(saved) : saved
    } finally {
      this.#save = undefined
    }
  }

  readError (error: unknown): unknown {
    return readError(error, this.place)
  }

  limitError (error: unknown, { maxNumberOfRequestsPerSession }: IDocumentSession['advanced']): unknown {
    return limitError(error, this.place, maxNumberOfRequestsPerSession)
  }

  #execute (executor: RequestExecutor, command: RavenCommand<unknown>, sessionInfo?: SessionInfo, options?: ExecuteOptions): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(this.#closedError())
    const saves = this.#save !== undefined
    if (this.#save !== undefined) {
      this.#save.sent = true
      // A moment later the client gives up the connection too, instead of keeping it for an answer that nobody waits for.
      command.timeout = Math.min(this.#deadlines.latest + 50, command.timeout || executor.defaultTimeout || longest)
    }
    guardBody(command)
    const explain = (error: unknown): never => {
      throw saves ? saveError(error, this.place, command) : readError(error, this.place, command.statusCode)
    }
    try {
      return executor.execute(command, sessionInfo, options).catch(explain)
    } catch (error) {
      return explain(error)
    }
  }

  #closedError (): Error {
    return new SessionClosedError('The document session', this.place.route)
  }

  #withDeadline (saved: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const call = this.#deadlines.start(() => {
        const { database, route } = this.place
        reject(new OutcomeUnknownError(`the database '${database}' did not answer ${route} within ${this.#deadlines.timeout} milliseconds.`))
      })
      saved.then(() => {
        this.#deadlines.end(call)
        resolve()
      }, (error: unknown) => {
        this.#deadlines.end(call)
        reject(error)
      })
    })
  }
}
