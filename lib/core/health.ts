import { checkOptions, wholeNumber } from '../util/option-rules.js'
import { nothing } from '../util/maybe-promise.js'
import { within } from '../util/within.js'
import type { OpenContext, SessionOpener } from './provider.js'

/**
 * Options of a provider's `ping()` and of `app.sessionHealth()`.
 *
 * @example
 * ```ts
 * import { tokenSessions, type PingOptions } from 'fastify-request-session'
 *
 * const quick: PingOptions = { timeout: 500 }
 * console.log(await tokenSessions().ping(quick))
 * ```
 */
export interface PingOptions {
  /**
   * Milliseconds to wait for the database, at most 60,000. Choose less than the probe waits.
   * @default 2000
   */
  timeout?: number | undefined
}

/**
 * The answer of a provider's `ping()`.
 *
 * @example
 * ```ts
 * import { tokenSessions, type PingResult } from 'fastify-request-session'
 *
 * const result: PingResult = await tokenSessions().ping()
 * console.log(result.ok ? `after ${result.milliseconds} ms` : result.problem)
 * ```
 */
export interface PingResult {
  /** True if sessions can be used now. */
  readonly ok: boolean
  /** Milliseconds that the check took. */
  readonly milliseconds: number
  /** The error, with its causes, without credentials. For operators: it may name hosts. */
  readonly problem?: string
  /** The reason why nothing was checked: such a result is `ok`. */
  readonly unchecked?: string
}

/**
 * The answer of `app.sessionHealth()`.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { type SessionHealth } from 'fastify-request-session'
 *
 * const app = Fastify()
 * await app.register(requestSession)
 * app.get('/ready', async (_request, reply) => {
 *   const { ok }: SessionHealth = await app.sessionHealth({ timeout: 500 })
 *   return reply.code(ok ? 200 : 503).send({ ok })
 * })
 * ```
 */
export interface SessionHealth {
  /** True if each provider's result is `ok`. */
  readonly ok: boolean
  /** The results by the names of `app.sessionStats()`. */
  readonly sessions: Readonly<Record<string, PingResult>>
}

/** A provider that can check its database. */
export interface Pinging {
  /**
   * Uses the database as a request would, within a timeout, for readiness probes. Parallel calls share one attempt.
   * Rejects with an OptionError (`FST_SESSION_OPTION`) only.
   */
  ping (options?: PingOptions): Promise<PingResult>
}

export function canPing (provider: object): provider is Pinging {
  return 'ping' in provider
}

/** Thrown by an attempt that does not use the database, with the reason. */
export class Unchecked extends Error {}

const defaultTimeout = 2000

/** @throws OptionError (`FST_SESSION_OPTION`) */
export function checkPingOptions (call: string, options: PingOptions | undefined): { timeout: number } {
  return { timeout: defaultTimeout, ...checkOptions<PingOptions>(call, options, { timeout: wholeNumber('milliseconds', 1, 60_000) }) }
}

/**
 * Makes the `ping()` of a provider.
 * @param tryOut rejects if the database does not work; the signal aborts when no caller waits any more
 */
export function pingOf (tryOut: (signal: AbortSignal) => Promise<unknown>): Pinging['ping'] {
  let current: Promise<PingResult> | undefined
  return async (options) => {
    const { timeout } = checkPingOptions('ping()', options)
    if (current === undefined) {
      const result = timed(tryOut, timeout).finally(() => { if (current === result) current = undefined })
      current = result
    }
    return current
  }
}

async function timed (tryOut: (signal: AbortSignal) => Promise<unknown>, timeout: number): Promise<PingResult> {
  const start = performance.now()
  const milliseconds = (): number => Math.round(performance.now() - start)
  const late = new AbortController()
  try {
    const tried = tryOut(late.signal)
    tried.catch(nothing) // after the timeout its error is not needed
    await within(timeout, tried, () => { throw new Error(`no answer within ${timeout} milliseconds`) })
    return { ok: true, milliseconds: milliseconds() }
  } catch (error) {
    if (error instanceof Unchecked) return { ok: true, milliseconds: milliseconds(), unchecked: error.message }
    return { ok: false, milliseconds: milliseconds(), problem: problemOf(error) }
  } finally {
    late.abort()
  }
}

/** Uses a session of a provider as a request would, rolls it back and closes it: an attempt for `pingOf()`. */
export async function trySession<Exposed> (opener: SessionOpener<Exposed>, signal: AbortSignal, use: (session: Awaited<Exposed>) => unknown): Promise<void> {
  const opened = opener.open(pingContext)
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  try {
    await Promise.race([ended, Promise.resolve(opened.session).then(use)])
  } finally {
    await opened.rollback?.()
    await opened.close()
  }
}

const pingContext: OpenContext = Object.freeze({
  request: undefined, reply: undefined, route: 'ping()', name: 'ping()', log: undefined, canSendHeaders: false, isConditional: false, bookmarks: [], rollbackOnly: nothing,
})

const maxCauses = 5

/** The first lines of an error and its causes. An error of ours with a message for clients has the event in its `problem`. */
function problemOf (error: unknown): string {
  const lines = new Set<string>()
  for (let cause = error; cause != null && lines.size < maxCauses;) {
    const { message, problem, code, errors, cause: next } = Object(cause) as Record<string, unknown>
    const text = 'problem' in Object(cause) ? problem : message !== '' ? message ?? String(cause) : code
    if (typeof text === 'string') lines.add((text.split('\n')[0] as string).replace(/\/\/[^/@\s]*@/g, '//***@'))
    cause = next ?? (Array.isArray(errors) ? errors[0] : undefined)
  }
  return [...lines].join(': ')
}
