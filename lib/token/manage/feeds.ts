import { hash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { StoreUnavailableError } from '../../errors.js'
import { requireInterface } from '../../stores/contract-helpers.js'
import type { SessionRecord } from '../../stores/store.js'
import type { Tracking, TrackListener } from '../../stores/track.js'
import { elapsed } from '../../util/elapsed.js'
import { nothing } from '../../util/maybe-promise.js'
import { look, summaryOf, unlessDamaged } from '../look.js'
import type { SessionSettings } from '../settings.js'
import { DueTimes } from './due-times.js'
import { Expirations } from './expirations.js'
import { Feed, type FeedListener, type FeedUpdate } from './feed.js'

/** The last known state of a session, to compare with its present one. */
interface Known extends Pick<SessionRecord, 'createdAt' | 'generation' | 'dataSince' | 'expiresAt' | 'subject' | 'deleteSession'> {
  /** The expiry by `elapsed()`: the remaining time in the store's answer, added to the time of the question. `Infinity`: never. */
  readonly due: number
  readonly hasData: boolean
  /** A hash of all parts that count as changes. */
  readonly print: string
}

/** Sessions that are read in parallel. */
const atOnce = 32
/** Milliseconds between two checks of the times, and of a lost tracking. */
const tickEvery = 250
/** Milliseconds that a feed waits for a tracking which has lost its first connection: a client may be reconnecting. */
const patience = 2000
/** Milliseconds after a failure of the store in which no session is read. */
const pauseAfterFailure = 1000
/** Maximum updates that wait for a slow listener. While there are more, no session is read: further changes are merged. */
const maxWaiting = 1000
/** Sessions to read beyond which, while updates wait for a slow listener, no more are remembered: all sessions are read after it. */
const maxOutdated = 10_000
/** A session that is missing this many milliseconds before its time counts as expired: timers and clocks are not more accurate. */
const tolerance = 100

/** `checkAtBoot` is told the log of a cache otherwise. */
const quiet = { info: nothing, warn: nothing, error: nothing }

/**
 * The feeds of one provider. One tracking for all feeds reports sessions that change in any process; each is read, and compared
 * with its last known state. So feeds deliver states, not commits: changes in quick succession are merged, and after a lost
 * connection the differences are delivered.
 */
export class SessionFeeds implements TrackListener {
  readonly #store: SessionSettings['store']
  readonly #followers: SessionSettings['followers']
  /** The running feeds: their sessions are known. */
  readonly #ready = new Set<Feed>()
  readonly #feeds = new Set<Feed>()
  readonly #known = new Map<string, Known>()
  readonly #dueTimes = new DueTimes()
  readonly #expirations: Expirations
  /** Sessions to read, and the last running read of each. */
  readonly #outdated = new Set<string>()
  readonly #looks = new Map<string, Promise<void>>()
  #tracking: Tracking | undefined
  #timer: NodeJS.Timeout | undefined
  /** True if changes may have been missed. */
  #mustList = false
  #isListing = false
  #pausedUntil = -Infinity

  constructor ({ store, followers }: Pick<SessionSettings, 'store' | 'followers'>) {
    this.#store = store
    this.#followers = followers
    this.#expirations = new Expirations(store, (update) => this.#tellOnce(update))
  }

  /**
   * Resolves once the feed delivers all later changes.
   * @param subject `undefined`: all sessions
   */
  async subscribe (subject: string | undefined, listener: FeedListener): Promise<Feed> {
    for (const needed of subject === undefined ? ['list', 'lease'] as const : ['subjects'] as const) requireInterface(needed, this.#store, 'subscribe()')
    const feed = new Feed(subject, listener, (feed) => { this.#leave(feed) }, () => { this.#lookAtOutdated() })
    this.#feeds.add(feed)
    this.#followers.add(feed)
    try {
      await this.#track()
      for await (const page of this.#pages(feed)) {
        if (feed.closed) break
        const unknown = page.filter((id) => !this.#known.has(id))
        for (let i = 0; i < unknown.length; i += atOnce) await Promise.all(unknown.slice(i, i + atOnce).map((id) => this.#look(id)))
      }
    } catch (error) {
      await feed.close()
      throw error
    }
    if (!feed.closed) this.#ready.add(feed)
    return feed
  }

  changed (id: string | undefined): void {
    if (id === undefined || (this.#outdated.size >= maxOutdated && this.#isBehind)) return this.lost()
    this.#outdated.add(id)
    this.#lookAtOutdated()
  }

  lost (): void {
    this.#mustList = true
  }

  async #track (): Promise<void> {
    const store = requireInterface('track', this.#store, 'subscribe()')
    this.#timer ??= setInterval(() => { this.#tick() }, tickEvery).unref()
    const tracking = this.#tracking ??= store.track(this, tickEvery)
    await tracking.checkAtBoot(quiet)
    for (const end = performance.now() + patience; tracking.lag() === Infinity; await delay(tickEvery / 10)) {
      if (performance.now() > end || tracking !== this.#tracking) throw new StoreUnavailableError('changes of sessions are not received')
    }
  }

  #leave (feed: Feed): void {
    this.#followers.delete(feed)
    this.#feeds.delete(feed)
    this.#ready.delete(feed)
    if (this.#feeds.size > 0) {
      for (const [id, { subject }] of this.#known) if (!this.#covers(subject)) this.#forget(id)
      return
    }
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#tracking?.stop()
    this.#tracking = undefined
    this.#mustList = false
    this.#known.clear()
    this.#outdated.clear()
    this.#dueTimes.clear()
    this.#expirations.clear()
  }

  #tick (): void {
    if (this.#mustList && !this.#isListing && !this.#isBehind && this.#tracking !== undefined && this.#tracking.lag() < Infinity && performance.now() >= this.#pausedUntil) this.#listAnew()
    for (const id of this.#dueTimes.take(elapsed())) {
      const known = this.#known.get(id)
      if (known === undefined) continue
      if (known.due > elapsed()) this.#dueTimes.add(id, known.due)
      else this.#outdated.add(id)
    }
    this.#lookAtOutdated()
    this.#expirations.tick()
  }

  /** Schedules a read of all known and all stored sessions. */
  #listAnew (): void {
    this.#mustList = false
    this.#isListing = true
    const list = async (): Promise<void> => {
      for (const id of this.#known.keys()) this.#outdated.add(id)
      for (const feed of this.#feeds) for await (const page of this.#pages(feed)) for (const id of page) this.#outdated.add(id)
    }
    list().catch(() => { this.#fail() }).finally(() => {
      this.#isListing = false
      this.#lookAtOutdated()
    }).catch(nothing)
  }

  #fail (): void {
    this.#mustList = true
    this.#pausedUntil = performance.now() + pauseAfterFailure
  }

  #pages ({ subject }: Feed): AsyncIterable<readonly string[]> {
    return subject === undefined ? requireInterface('list', this.#store, 'subscribe()').ids() : requireInterface('subjects', this.#store, 'subscribe()').idsOf(subject)
  }

  /** True while too many updates wait for a slow listener. */
  get #isBehind (): boolean {
    for (const feed of this.#ready) if (feed.waiting > maxWaiting) return true
    return false
  }

  /** Reads the sessions that may have changed, some at a time. A session that changes during its read is read again. */
  #lookAtOutdated (): void {
    if (this.#outdated.size === 0 || performance.now() < this.#pausedUntil) return
    if (this.#isBehind) return
    for (const id of this.#outdated) {
      if (this.#looks.size >= atOnce) return
      if (this.#looks.has(id)) continue
      this.#outdated.delete(id)
      this.#look(id).then(() => { this.#lookAtOutdated() }, () => {
        this.#outdated.add(id)
        this.#pausedUntil = performance.now() + pauseAfterFailure
      })
    }
  }

  /** Reads a session, after a running read of it: the later answer is the newer one. */
  #look (id: string): Promise<void> {
    const look = (this.#looks.get(id) ?? Promise.resolve()).catch(nothing).then(() => this.#read(id)).finally(() => {
      if (this.#looks.get(id) === look) this.#looks.delete(id)
    })
    this.#looks.set(id, look)
    return look
  }

  async #read (id: string): Promise<void> {
    const found = await unlessDamaged(() => look(this.#store, id))
    if (found === undefined || 'successor' in found) {
      this.#take(id, undefined, found?.how === 'renewed')
      return
    }
    const known = this.#known.get(id)
    const isWanted = this.#covers(found.subject)
    let due = Infinity
    if (isWanted && found.expiresAt !== null) {
      if (known?.expiresAt === found.expiresAt && known.due > elapsed()) {
        due = known.due
      } else {
        const asked = elapsed()
        const summary = await unlessDamaged(() => summaryOf(this.#store, id))
        if (summary === undefined) return this.#read(id)
        due = summary.timeLeft === null ? Infinity : asked + summary.timeLeft
      }
    }
    const { createdAt, generation, dataSince, expiresAt, subject, deleteSession } = found
    this.#take(id, { createdAt, generation, dataSince, expiresAt, subject, deleteSession, due, hasData: found.fields.size > 0, print: isWanted ? printOf(found) : '' }, false)
  }

  /** Compares a session with its last known state. `now`: its present state; `undefined`: gone. */
  #take (id: string, now: Known | undefined, wasRenewed: boolean): void {
    let before = this.#known.get(id)
    if (before !== undefined && (now === undefined || before.createdAt !== now.createdAt || before.generation !== now.generation)) {
      this.#forget(id)
      if (wasRenewed || !isDue(before)) this.#tell({ type: 'ended', id, subject: before.subject, renewed: wasRenewed }, before.subject)
      else this.#expired(id, before)
      before = undefined
    }
    if (now === undefined || (before === undefined && !this.#covers(now.subject))) return
    if (this.#covers(now.subject)) {
      this.#known.set(id, now)
      this.#dueTimes.add(id, now.due)
    } else {
      this.#forget(id)
    }
    if (before === undefined) return this.#tell({ type: 'created', id, subject: now.subject }, now.subject)
    const isEmptied = before.hasData && !before.deleteSession && isDue(before) && (!now.hasData || now.dataSince !== before.dataSince)
    if (isEmptied) this.#expired(id, before)
    if (isEmptied ? now.hasData : now.print !== before.print) this.#tell({ type: 'changed', id, subject: now.subject }, before.subject)
  }

  #forget (id: string): void {
    this.#known.delete(id)
    this.#dueTimes.remove(id)
  }

  #expired (id: string, { subject, dataSince }: Known): void {
    const update: FeedUpdate = { type: 'expired', id, subject }
    for (const feed of this.#ready) if (feed.subject !== undefined && feed.covers(subject)) feed.tell(update).catch(nothing)
    if ([...this.#ready].some((feed) => feed.subject === undefined)) this.#expirations.add(`expired ${id} ${dataSince}`, update)
  }

  /** @param before the subject that the session had */
  #tell (update: FeedUpdate, before: string | undefined): void {
    for (const feed of this.#ready) {
      const [had, has] = [feed.covers(before), feed.covers(update.subject)]
      if (had && has) feed.tell(update).catch(nothing)
      else if (has) feed.tell({ type: 'created', id: update.id, subject: update.subject }).catch(nothing)
      else if (had) feed.tell({ type: 'ended', id: update.id, subject: before, renewed: false }).catch(nothing)
    }
  }

  /** Delivers to the feeds of all sessions. @returns true if all have handled it, false if one has failed, `undefined` if there are none */
  async #tellOnce (update: FeedUpdate): Promise<boolean | undefined> {
    const feeds = [...this.#ready].filter(({ subject }) => subject === undefined)
    if (feeds.length === 0) return undefined
    return (await Promise.all(feeds.map((feed) => feed.tell(update)))).every(Boolean)
  }

  #covers (subject: string | undefined): boolean {
    for (const feed of this.#feeds) if (feed.covers(subject)) return true
    return false
  }
}

function isDue ({ due }: Known): boolean {
  return elapsed() + tolerance >= due
}

/** A hash of all parts of a session that count as changes: uses and the expiry do not. */
function printOf ({ fields, subject, label, ttl, maxAge }: SessionRecord): string {
  const texts = [...fields].sort(([a], [b]) => a < b ? -1 : 1)
  return hash('sha1', JSON.stringify([String(ttl), String(maxAge), subject ?? null, label ?? null, texts]), 'base64')
}
