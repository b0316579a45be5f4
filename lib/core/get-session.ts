import type { AnyProvider, SessionOpener, SessionProvider } from './provider.js'
import type { Registration } from '../plugin/registration.js'
import { Scope } from './scope.js'
import { Tracker } from './open-sessions.js'

/** A provider's session, loaded: what a callback of `getSession()` is given. */
export type OpenedSession<P extends AnyProvider> = P extends SessionProvider<infer Exposed, never, never> ? Awaited<Exposed> : never

/** What a call of `getSession()` may say under a provider. */
export type CallOptionsOf<P extends AnyProvider> = P extends SessionProvider<unknown, never, infer Options> ? Options : never

/** The type of `app.get<Name>` under a provider: for `declare module 'fastify'`. */
export type GetSessionOf<P extends AnyProvider> = <R>(
  existing: OpenedSession<P> | null | undefined,
  callback: (session: OpenedSession<P>) => R | Promise<R>,
  options?: CallOptionsOf<P>,
) => Promise<R>

/**
 * Runs a callback in a session, outside of a request: jobs, scripts, tests.
 *
 * With an `existing` session the callback just joins it: it is neither committed, rolled back nor closed. Without
 * one (`null`, `undefined`) a new session is opened, and committed and closed when the callback resolves, or rolled
 * back and closed when it rejects. The callback's own error is always the one that is thrown; what fails while
 * cleaning up after it is reported, and attached to it as `suppressed`.
 *
 * @throws what the callback throws, or what the commit throws
 */
export async function getSession<P extends AnyProvider, R> (
  provider: P,
  existing: OpenedSession<P> | null | undefined,
  callback: (session: OpenedSession<P>) => R | Promise<R>,
  options?: CallOptionsOf<P>
): Promise<R> {
  return existing != null
    ? callback(existing)
    : run(new Tracker('getSession()', provider.kind), provider, provider.forCall(options, 'getSession()'), callback)
}

/** `app.get<Name>` of one registration. */
export function sessionCaller (registration: Registration, name: string): GetSessionOf<AnyProvider> {
  const { provider } = registration.options
  return async (existing, callback, options) => existing != null
    ? callback(existing)
    : run(registration.tracker, provider, provider.forCall(options, name), callback, name)
}

/** Opens a session, runs a callback in it, and commits or rolls back, and closes. */
export async function run<R> (
  tracker: Tracker,
  provider: AnyProvider,
  opener: SessionOpener<unknown>,
  callback: (session: never) => R | Promise<R>,
  route = tracker.name
): Promise<R> {
  const scope = new Scope(tracker, {
    route, opener, commit: 'onSend', commitWhen: undefined, commits: provider.commits, trace: tracker.traceOf(route),
  })
  try {
    await scope.load()
    const result = await callback(scope.session as never)
    await scope.commit()
    return result
  } catch (error) {
    await scope.finish(false)
    if (scope.cleanUpErrors.length > 0) attach(error, scope.cleanUpErrors)
    throw error
  } finally {
    await scope.finish(false)
  }
}

function attach (error: unknown, suppressed: readonly unknown[]): void {
  if (typeof error === 'object' && error !== null && Object.isExtensible(error)) {
    Object.defineProperty(error, 'suppressed', { value: suppressed, configurable: true, writable: true })
  }
}
