import type { MaybePromise } from '../../lib/util/maybe-promise.js'
import type { ErrorReplies, OpenContext, SessionProvider } from '../../lib/core/provider.js'

/** A session that keeps what was added to it if it is committed. */
export interface FakeSession {
  /** Throws once the session is committed, rolled back or closed. */
  add (key: string): void
  /** Whether `close()` was called. */
  readonly closed: boolean
}

export interface FakeOptions {
  /** @default 'graph' */
  readonly kind?: string
  /** @default 'success' */
  readonly commits?: 'always' | 'success'
  /** Whether commit, rollback and close answer at once or in a later turn. @default 'later' */
  readonly answers?: 'at-once' | 'later'
  /** Whether the session is opened before the handler. @default false */
  readonly early?: boolean
  /** @default none of its business */
  readonly replyTo?: ErrorReplies['replyTo']
}

/** A provider that holds its sessions in memory. */
export interface FakeProvider extends SessionProvider<FakeSession, Record<string, unknown>> {
  /** What was committed. */
  readonly kept: ReadonlySet<string>
}

export function fakeProvider (options: FakeOptions = {}): FakeProvider {
  const { kind = 'graph', commits = 'success', answers = 'later', early = false, replyTo = () => undefined } = options
  const kept = new Set<string>()
  const answer = (step: () => void): MaybePromise<void> => {
    if (answers === 'at-once') return step()
    return new Promise<void>((resolve) => { setImmediate(resolve) }).then(step)
  }

  function open (context: OpenContext) {
    const added: string[] = []
    let over = false
    let closed = false
    return {
      session: {
        add (key: string) {
          if (over) throw new Error(`the fake session of ${context.route} is over`)
          added.push(key)
        },
        get closed () { return closed },
      },
      replyTo,
      beforeHeaders () {},
      commit () {
        over = true
        return answer(() => { for (const key of added) kept.add(key) })
      },
      rollback () {
        over = true
        return answer(() => {})
      },
      close () {
        over = true
        return answer(() => { closed = true })
      },
    }
  }

  return { kind, commits, kept, forRoute: () => ({ early, open }), forCall: () => ({ early, open }) }
}
