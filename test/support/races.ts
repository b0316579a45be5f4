import { getSession, tokenSessions, type SessionStore, type TokenProvider, type TokenSession } from '../../lib/index.js'

export type Session = TokenSession<Record<string, unknown>>
export type Provider = TokenProvider<Record<string, unknown>>

/** Pairs under way at a time. */
const width = 250

/** Runs `race` for each number below `count`, so many at a time. */
export async function each (count: number, race: (i: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < count) await race(next++)
  }))
}

/** What two requests on one new session do. Both have loaded it before either commits, and both commit at once. */
export interface Pair {
  readonly data: Record<string, unknown>
  readonly first: (session: Session) => void
  readonly second: (session: Session) => void
}

/** How the two commits went, and the session as the store has it afterwards; `undefined` if it is gone. */
export interface Ending {
  /** The codes of those that failed. */
  readonly failed: Array<string | undefined>
  readonly data: Record<string, unknown> | undefined
}

export async function runPair (provider: Provider, { data, first, second }: Pair): Promise<Ending> {
  const token = await getSession(provider, null, async (session) => {
    for (const [key, value] of Object.entries(data)) session.set(key, value)
    await session.commit()
    return session.token
  })
  let loaded = 0
  let open = (): void => {}
  const bothLoaded = new Promise<void>((resolve) => { open = resolve })
  const request = (use: (session: Session) => void): Promise<void> => getSession(provider, null, async (session) => {
    if (++loaded === 2) open()
    await bothLoaded
    use(session)
  }, { token })
  const results = await Promise.allSettled([request(first), request(second)])
  return {
    failed: results.map((result) => result.status === 'fulfilled' ? undefined : String((result.reason as { code?: unknown }).code ?? result.reason)),
    data: await getSession(provider, null, (session) => session.isNew ? undefined : session.data(), { token }),
  }
}

export function provider (store: SessionStore): Provider {
  return tokenSessions<Record<string, unknown>>({ store })
}
