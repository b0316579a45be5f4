import type { Test } from 'tap'
import { tokenSessions, type CompleteStore, type CompleteTokenSessionOptions, type SessionStore, type TokenManager } from '../../lib/index.js'
import { fakeClock } from './clock.js'
import type { Place } from './places.js'
import { change } from './records.js'
import { SpyStore } from './spy-store.js'

export type Data = Record<string, unknown>

/** What a race saw: whether the session is known to have been there for the write; `undefined`: only the race can tell. */
export type Lived = boolean | undefined

/** A store, and its time. */
interface Clock {
  readonly store: CompleteStore
  /** Lets some milliseconds pass where they do not pass by themselves. */
  pass (ms: number): void
}

/** Where sessions expire around the moment of a write. */
export interface Expiring extends Clock {
  /** The store as the writer sees it. */
  readonly theirs: SessionStore
  /** The sessions of another process, which writes. */
  readonly writers: TokenManager<Data>
  /** How many races may run at once. */
  readonly width: number
  /**
   * Lets the session expire around a write: of ten races on a server one writes certainly after it and one certainly
   * before it; the others have up to `spread` milliseconds left when the write begins. In memory the time passes between
   * what the writer decides and what the store does.
   */
  around (n: number, id: string, write: () => Promise<void>): Promise<Lived>
}

/** Lets a session expire in so many milliseconds, by the store's own time, unless it is gone. */
async function expireIn (store: SessionStore, id: string, ms: number): Promise<void> {
  await store.commit(id, change({ expiresAt: Date.now() + ms }))
}

/** Waits until the session's time is up: it is gone, or (with `deleteSession: false`) its data. */
export async function over ({ store, pass }: Clock, id: string): Promise<void> {
  for (;;) {
    const summary = await store.describe(id)
    if (summary === undefined || (!summary.deleteSession && summary.size === 0)) return
    pass(1)
  }
}

/** Lets the time of a session be up. */
export async function expire (clock: Clock, id: string): Promise<void> {
  await expireIn(clock.store, id, 1)
  await over(clock, id)
}

/** @param spread milliseconds: about as many as a write takes with `width` of them at once */
export function expiring (t: Test, place: Place, options: CompleteTokenSessionOptions, width = 500, spread = 16): Expiring {
  return place.name === 'memory' ? inMemory(t, place, options) : onServers(place, options, width, spread)
}

function inMemory (t: Test, place: Place, options: CompleteTokenSessionOptions): Expiring {
  const tick = fakeClock(t, ['Date'])
  const store = place.connect()
  const theirs = Object.assign(new SpyStore(store), { idsOf: (subject: string) => store.idsOf(subject) })
  return {
    store,
    theirs,
    writers: tokenSessions<Data>({ ...options, store: theirs }),
    width: 1,
    async around (n, id, write) {
      await expireIn(store, id, 4)
      theirs.before = () => { tick(n % 8) }
      await write()
      theirs.before = undefined
      return n % 8 < 4
    },
    pass: tick,
  }
}

function onServers (place: Place, options: CompleteTokenSessionOptions, width: number, spread: number): Expiring {
  const [store, theirs] = [place.connect(), place.connect()]
  const pass = (): void => {}
  return {
    store,
    theirs,
    writers: tokenSessions<Data>({ ...options, store: theirs }),
    width,
    async around (n, id, write) {
      const lived = n % 10 < 2 ? n % 10 === 0 : undefined
      await expireIn(store, id, lived ? 60_000 : 1 + n * 7 % spread)
      if (lived === false) await over({ store, pass }, id)
      await write()
      return lived
    },
    pass,
  }
}

/** Runs a race for each number below `count`, at most `width` at a time. */
export async function races (count: number, width: number, race: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < count) await race(next++)
  }))
}

/** Milliseconds that each key of the store has left; -1: for ever. */
export async function timesLeft (place: Place): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  for (const node of place.nodes()) {
    const keys = await node.keys(`${place.prefix}*`)
    await Promise.all(keys.map(async (key) => { times.set(key, await node.pttl(key)) }))
  }
  return times
}
