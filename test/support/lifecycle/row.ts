import type { FastifyServerOptions } from 'fastify'
import type { Harness } from './harness.js'
import type { Stage } from './stage.js'

export type Outcome = 'committed' | 'rolled-back'

/** One case of the lifecycle: what happens to a request, and how its session must end. */
export interface Row {
  readonly name: string
  readonly server?: (harness: Harness) => FastifyServerOptions
  /** Milliseconds, for the plugin's option of that name. */
  readonly warnAfter?: number
  /** What becomes of a database session; sessions that always commit are committed, unless `always` says otherwise. */
  readonly outcome: Outcome | Readonly<Record<Harness['commit'], Outcome>>
  /** Where a session that always commits (`commits: 'always'`) ends otherwise. */
  readonly always?: Outcome
  /** When a commit is done; by default as the plugin's `commit` says. */
  readonly commits?: 'before-headers' | 'after-headers' | 'without-headers' | 'whenever'
  /** Whether the session is closed only after the reply's `close`. @default true */
  readonly closesLast?: boolean
  /** Whether the commit fails in this row. The row arranges for it. */
  readonly commitFails?: boolean
  /** Defines the routes, plays the client, and looks at what the client got. */
  readonly play: (stage: Stage) => Promise<void>
}
