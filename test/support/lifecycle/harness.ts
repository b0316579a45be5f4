import type { Test } from 'tap'
import type { AnyProvider } from '../../../lib/core/provider.js'

/**
 * What `runLifecycle()` needs to know of one kind of session, to play every row of the lifecycle's table with it.
 * The rows are played one after the other, each with an app of its own.
 *
 * @typeParam Session what `await request.<name>` gives
 */
export interface Harness<Session = unknown> {
  /** For the names of the tests: `Neo4j transactions`. */
  readonly name: string
  /** Given to each row's app, wrapped in a `CountingProvider`: opens, commits, rollbacks and closes are counted there. */
  readonly provider: AnyProvider
  /** The plugin's option; where it makes a difference, a row expects another outcome. */
  readonly commit: 'onSend' | 'onResponse'
  /**
   * `'at-once'` where there is nothing to commit (a plain Neo4j session): then `exists()` is true whenever `work()`
   * has resolved, and only the scope's outcome is checked besides.
   * @default 'at-commit'
   */
  readonly keeps?: 'at-commit' | 'at-once' | undefined
  /**
   * Milliseconds within which `work()` is surely done. The rows in which a timeout strikes after the work use it as
   * that timeout, so that a row takes as long.
   * @default 100
   */
  readonly workWithin?: number | undefined
  /** Options that each row's route has under the plugin's name. */
  readonly routeOptions?: Record<string, unknown> | undefined
  /** Does some work in an open session, such that `exists(key)` tells whether it was kept. Each row has a key of its own. */
  work (session: Session, key: string): Promise<void>
  /** Whether the work was kept; asked outside of any request, once all sessions of the row are closed. */
  exists (key: string): Promise<boolean>
  /** Asserts that nothing is open on the server and in the client: called after each row. */
  assertNothingOpen (t: Test): Promise<void>
  /**
   * Does work after which the commit must fail: a conflict, a constraint. Without it the commit's failure is made up,
   * and the provider's own `commit()` is not called.
   */
  spoil? (session: Session, key: string): Promise<void>
  /** Status of the reply when the commit fails after `spoil()`. @default 500 */
  readonly spoiltStatus?: number | undefined
}
