import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import type { IDocumentSession, RavenCommand, RequestExecutor, SessionInfo } from 'ravendb'
import type { Deadlines } from '../util/call-timeouts.js'
import { DatabaseUnavailableError, OutcomeUnknownError, SessionClosedError } from '../errors.js'
import { guardSending, Sending } from './guard-sending.js'
import { readError, requestLimitError, saveError, type ErrorContext } from './translate-errors.js'

/** Milliseconds: the longest timer of Node. */
const longestTimeout = 2_147_483_647

/** The field in which RavenDB's client keeps the contents of a save's attachments. */
const attachmentsField = '_attachmentStreams'

/**
 * The use of a session's member. `'write'` prepares a save: refused from the commit or rollback on, since it would be
 * silently lost. `'read'` is refused only once the session is closed, since a stream is read after the commit.
 * `'unguarded'` neither reaches the server nor prepares anything that does: never refused.
 */
export type Access = 'write' | 'read' | 'unguarded'

type ExecuteOptions = Parameters<RequestExecutor['execute']>[2]

/**
 * Keeps one session within its request: waits for its calls before the commit, refuses any use after the end, and
 * translates its errors.
 */
export class SessionGuard {
  /** The executor to open the session with. */
  readonly executor: RequestExecutor
  readonly context: ErrorContext
  /** True once a member was used that prepares a save. Changes of loaded documents do not set it. */
  mayHaveChanges = false
  /** Deadlines of the saves, and of the calls that a commit waits for. */
  readonly #deadlines: Deadlines
  #state: 'open' | 'settled' | 'closed' = 'open'
  /** True while the client prepares a save, which tells its command from a read. */
  #preparesSave = false
  /** Calls in flight, other than saves. */
  readonly #calls = new Set<Promise<unknown>>()
  /** Saves in flight: the running one, then those that wait for it. */
  readonly #saves = new Set<Promise<void>>()
  #lastSave: Promise<void> | undefined

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

  /** Makes an executor for this session alone. The client and other sessions keep the given one. */
  guardExecutor (executor: RequestExecutor): RequestExecutor {
    const guarded = Object.create(executor) as RequestExecutor
    const execute = <Result> (command: RavenCommand<Result>, sessionInfo?: SessionInfo, options?: ExecuteOptions): Promise<void> =>
      this.#execute(executor, command, sessionInfo, options)
    guarded.execute = execute // not in one statement: see `guardSending()`
    return guarded
  }

  /** Runs the client's `saveChanges()` once the saves before it are done: until then their changes are still the session's. */
  save (saveChanges: () => Promise<void>): Promise<void> {
    const start = (): Promise<void> => this.#prepareSave(saveChanges)
    const admitAndStart = (): Promise<void> => {
      this.admit('write')
      return start()
    }
    const before = this.#lastSave
    const save = track(before === undefined ? start() : before.then(admitAndStart, admitAndStart), this.#saves, () => {
      if (this.#lastSave === save) this.#lastSave = undefined
    })
    this.#lastSave = save
    return save
  }

  /** Makes a commit wait for a call of the session. */
  track<T> (call: Promise<T>): Promise<T> {
    return track(call, this.#calls)
  }

  /**
   * Waits for the calls in flight, and for those that follow from their answers. `undefined` when there are none.
   * Rejects with the error of a call: its work was not done.
   */
  whenIdle (): Promise<void> | undefined {
    return this.#isIdle ? undefined : this.#waitForCalls()
  }

  readError (error: unknown): unknown {
    return readError(error, this.context)
  }

  requestLimitError (error: unknown, { maxNumberOfRequestsPerSession }: IDocumentSession['advanced']): unknown {
    return requestLimitError(error, this.context, maxNumberOfRequestsPerSession)
  }

  get #isIdle (): boolean {
    return this.#calls.size === 0 && this.#saves.size === 0
  }

  async #waitForCalls (): Promise<void> {
    const onTimeout = (): Error => this.#unavailableError('a call of the session')
    while (!this.#isIdle) {
      // Saves have a deadline of their own, which leaves out the reading of their attachments.
      const calls = [...this.#calls].map((call) => this.#deadlines.limit(call, onTimeout))
      await Promise.all([...this.#saves, ...calls])
      // The code that awaits them continues first.
      await setImmediate()
    }
  }

  #prepareSave (saveChanges: () => Promise<void>): Promise<void> {
    this.#preparesSave = true
    try {
      return saveChanges()
    } finally {
      this.#preparesSave = false
    }
  }

  #execute (executor: RequestExecutor, command: RavenCommand<unknown>, sessionInfo?: SessionInfo, options?: ExecuteOptions): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(this.#closedError())
    return this.#preparesSave
      ? this.#sendSave(() => executor.execute(command, sessionInfo, options), command, executor.defaultTimeout)
      : this.track(this.#sendRead(() => executor.execute(command, sessionInfo, options), command))
  }

  async #sendRead (execute: () => Promise<void>, command: RavenCommand<unknown>): Promise<void> {
    guardSending(command)
    try {
      await execute()
    } catch (error) {
      throw readError(error, this.context, command.statusCode)
    }
  }

  /** Sends a save. Its attachments are read before, which the deadline leaves out. */
  async #sendSave (execute: () => Promise<void>, command: RavenCommand<unknown>, defaultTimeout: number): Promise<void> {
    const reading = readAttachments(command)
    if (reading !== undefined) {
      await reading
      if (this.#state === 'closed') throw this.#closedError()
    }
    const sending = new Sending()
    guardSending(command, sending)
    // Without any timeout the client would give a cluster-wide save its own of five seconds.
    command.timeout ||= defaultTimeout || longestTimeout
    const sent = execute().catch((error: unknown) => {
      throw sending.begun ? saveError(error, this.context, command) : readError(error, this.context, command.statusCode)
    })
    await this.#deadlines.limit(sent, () => {
      sending.abandon()
      return sending.begun ? this.#outcomeUnknownError() : this.#unavailableError('the save')
    })
  }

  #closedError (): Error {
    return new SessionClosedError('The document session', this.context.route)
  }

  #outcomeUnknownError (): Error {
    const { database, route } = this.context
    return new OutcomeUnknownError(`the database '${database}' did not answer ${route} within ${this.#deadlines.timeout} milliseconds.`)
  }

  #unavailableError (what: string): Error {
    const { database, route } = this.context
    const cause = new Error(`the server of '${database}' did not answer ${what} of ${route} within ${this.#deadlines.timeout} milliseconds.`)
    return new DatabaseUnavailableError(`no answer to ${route}.`, { cause })
  }
}

/**
 * Keeps a call in a set while it is in flight. The promise of its own that it returns leaves an error that is handled
 * nowhere an unhandled one.
 */
function track<T> (call: Promise<T>, calls: Set<Promise<T>> | Set<Promise<unknown>>, ended?: () => void): Promise<T> {
  const end = (): void => {
    calls.delete(tracked)
    ended?.()
  }
  const tracked = call.then((value) => {
    end()
    return value
  }, (error: unknown) => {
    end()
    throw error
  })
  calls.add(tracked)
  return tracked
}

/**
 * Reads the attachments of a save that are streams, and rejects with the error of a source. The client would read them
 * while it sends: it treats an error of a source as one of the server, which it then avoids, and sends nothing of a
 * source to the second node that it tries. `undefined`: nothing to read.
 */
function readAttachments (command: RavenCommand<unknown>): Promise<void> | undefined {
  const contents: unknown = Reflect.get(command, attachmentsField)
  if (!(contents instanceof Set) || ![...contents].some((content) => content instanceof Readable)) return undefined
  return Promise.all([...contents].map(readContent)).then((read) => { Reflect.set(command, attachmentsField, new Set(read)) })
}

function readContent (content: unknown): unknown {
  return content instanceof Readable ? buffer(content) : content
}
