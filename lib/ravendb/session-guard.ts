import type { IDocumentSession, RavenCommand, RequestExecutor, SessionInfo } from 'ravendb'
import type { Deadlines } from '../util/call-timeouts.js'
import { OutcomeUnknownError, SessionClosedError } from '../errors.js'
import { guardAnswerBody } from './answer-body.js'
import { readError, requestLimitError, saveError, type ErrorContext } from './translate-errors.js'
import type { Access } from './session-members.js'

/** Milliseconds: the longest timer of Node. */
const longestTimeout = 2_147_483_647

/** Milliseconds after the deadline at which the client gives up the connection too, which would wait for the lost answer. */
const connectionGrace = 50

type ExecuteOptions = Parameters<RequestExecutor['execute']>[2]

/** Keeps one session within its request: refuses any use after the end, and translates the session's errors. */
export class SessionGuard {
  /** The executor to open the session with. */
  readonly executor: RequestExecutor
  readonly context: ErrorContext
  /** True once a member was used that prepares a save. Changes of loaded documents do not set it. */
  mayHaveChanges = false
  /** Deadlines of the saves. */
  readonly #deadlines: Deadlines
  #state: 'open' | 'settled' | 'closed' = 'open'
  /** The save that the client is preparing, which tells its command from a read. */
  #save: { sent: boolean } | undefined

  constructor (executor: RequestExecutor, context: ErrorContext, deadlines: Deadlines) {
    this.context = context
    this.#deadlines = deadlines
    this.executor = this.guardExecutor(executor)
  }

  /** Refuses writes from now on. */
  settle (): void {
    if (this.#state === 'open') this.#state = 'settled'
  }

  /** Refuses reads too. */
  close (): void {
    this.#state = 'closed'
  }

  /** @throws SessionClosedError (`FST_SESSION_CLOSED`) */
  admit (access: Access): void {
    if (access === 'write') this.mayHaveChanges = true
    if (access === 'unguarded' || this.#state === 'open') return
    if (this.#state === 'closed' || access === 'write') throw this.#closedError()
  }

  /** Makes an executor for this session alone. The client and other sessions go on with the given one. */
  guardExecutor (executor: RequestExecutor): RequestExecutor {
    const guarded = Object.create(executor) as RequestExecutor
    const execute = <Result> (command: RavenCommand<Result>, sessionInfo?: SessionInfo, options?: ExecuteOptions): Promise<void> =>
      this.#execute(executor, command, sessionInfo, options)
    guarded.execute = execute // not in one statement: see `guardAnswerBody()`
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
    return readError(error, this.context)
  }

  requestLimitError (error: unknown, { maxNumberOfRequestsPerSession }: IDocumentSession['advanced']): unknown {
    return requestLimitError(error, this.context, maxNumberOfRequestsPerSession)
  }

  #execute (executor: RequestExecutor, command: RavenCommand<unknown>, sessionInfo?: SessionInfo, options?: ExecuteOptions): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(this.#closedError())
    const isSave = this.#save !== undefined
    if (this.#save !== undefined) {
      this.#save.sent = true
      command.timeout = Math.min(this.#deadlines.latest + connectionGrace, command.timeout || executor.defaultTimeout || longestTimeout)
    }
    guardAnswerBody(command)
    const rethrow = (error: unknown): never => {
      throw isSave ? saveError(error, this.context, command) : readError(error, this.context, command.statusCode)
    }
    try {
      return executor.execute(command, sessionInfo, options).catch(rethrow)
    } catch (error) {
      return rethrow(error)
    }
  }

  #closedError (): Error {
    return new SessionClosedError('The document session', this.context.route)
  }

  #withDeadline (saved: Promise<void>): Promise<void> {
    const { database, route } = this.context
    const problem = `the database '${database}' did not answer ${route} within ${this.#deadlines.timeout} milliseconds.`
    return this.#deadlines.limit(saved, () => new OutcomeUnknownError(problem))
  }
}
