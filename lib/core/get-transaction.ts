import { run } from './get-session.js'
import type { AnyProvider, TransactionProvider } from './provider.js'
import type { Registration } from '../plugin/registration.js'
import { Tracker } from './open-sessions.js'

/** A provider of whatever kind whose sessions hold transactions. */
export type AnyTransactionProvider = AnyProvider & TransactionProvider<any, any, any>

/** What a callback of `getTransaction()` is given. */
export type TransactionOf<P extends AnyTransactionProvider> = P extends TransactionProvider<never, infer Transaction> ? Transaction : never

/** What `getTransaction()` may be given: a transaction to join, a session to open one in, or nothing to open both. */
export type TransactionPlace<P extends AnyTransactionProvider> =
  | (P extends TransactionProvider<infer Session, infer Transaction> ? Session | Transaction : never)
  | null | undefined

/** What a call of `getTransaction()` may say under a provider. */
export type TransactionOptionsOf<P extends AnyTransactionProvider> = P extends TransactionProvider<never, unknown, infer Options> ? Options : never

/** The type of `app.get<Name>Transaction` under a provider: for `declare module 'fastify'`. */
export type GetTransactionOf<P extends AnyTransactionProvider> = <R>(
  existing: TransactionPlace<P>,
  callback: (transaction: TransactionOf<P>) => R | Promise<R>,
  options?: TransactionOptionsOf<P>,
) => Promise<R>

/**
 * Runs a callback in a transaction, outside of a request: jobs, scripts, tests.
 *
 * A given transaction is just joined. In a given session a transaction is opened, and committed when the callback
 * resolves, or rolled back when it rejects; the session stays open. Without either both are opened, and closed again.
 * The callback's own error is always the one that is thrown, as `getSession()` does.
 *
 * @throws what the callback throws, or what the commit throws
 */
export async function getTransaction<P extends AnyTransactionProvider, R> (
  provider: P,
  existing: TransactionPlace<P>,
  callback: (transaction: TransactionOf<P>) => R | Promise<R>,
  options?: TransactionOptionsOf<P>
): Promise<R> {
  const name = 'getTransaction()'
  return runIn(() => new Tracker(name, provider.kind), provider, name, existing, callback, options)
}

/** `app.get<Name>Transaction` of one registration. */
export function transactionCaller (registration: Registration, name: string): GetTransactionOf<AnyTransactionProvider> {
  const provider = registration.options.provider as AnyTransactionProvider
  return async (existing, callback, options) => runIn(() => registration.tracker, provider, name, existing, callback, options)
}

async function runIn<R> (
  tracker: () => Tracker,
  provider: AnyTransactionProvider,
  name: string,
  existing: unknown,
  callback: (transaction: never) => R | Promise<R>,
  options: unknown
): Promise<R> {
  if (existing != null && provider.isTransaction(existing, name)) return callback(existing as never)
  return run(tracker(), provider, provider.forTransaction(existing ?? undefined, options, name), callback, name)
}
