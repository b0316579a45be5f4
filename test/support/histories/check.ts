import type { Change, Claim, Commit, Ending, History, Look, Served, Timed, View } from './history.js'
import { digit } from './plan.js'

/** Errors that a request may end with: the session was ended, or its token was given up. */
const allowed = new Set(['FST_SESSION_GONE', 'FST_SESSION_RENEWED'])

/** Something that reads a session's data at the store. */
interface Reading extends Timed {
  readonly view: View
  readonly by: string
}

/** A moment at which a session came to its end: ended, or another came in its place. */
interface Death extends Timed {
  readonly by: string
}

/** A value of one key that was written, or (`take`) read and deleted. */
interface Write extends Timed {
  readonly value: unknown
  /** True where it may not have been written. */
  readonly isDoubtful?: boolean
}

/** One session under all tokens that it has had. */
interface Session {
  readonly name: string
  readonly tokens: string[]
  /** Its creation, with the data that it began with. */
  readonly start: Timed & { readonly view: View, readonly ttl: number | null }
  readonly commits: Commit[]
  readonly claims: Claim[]
  readonly readings: Reading[]
  readonly deaths: Death[]
  /** Ends of the session before it at the time of its birth. */
  readonly possibleDeaths: Timed[]
  readonly endings: readonly Ending[]
}

/** A model of a session's laws, which knows nothing of how they are kept. `[]`: the history obeys them all. */
export function check (history: History): string[] {
  return new Checker(history).problems
}

class Checker {
  readonly problems: string[] = []
  readonly #history: History
  readonly #endings: ReadonlyMap<string, Ending>
  readonly #tokens: ReadonlyMap<string, string>
  /** The token that was renewed as this one. */
  readonly #renewedFrom = new Map<string, string>()
  /** By their first tokens. */
  readonly #sessions = new Map<string, Session>()
  /** The commit by which a token came about. */
  readonly #births = new Map<string, Timed>()

  constructor (history: History) {
    this.#history = history
    this.#endings = new Map(history.endings.map((ending) => [ending.token, ending]))
    this.#tokens = new Map(history.endings.map(({ id, token }) => [id, token]))
    this.#follow()
    this.#begin(history.token, { called: -Infinity, returned: -Infinity, view: history.initial, ttl: history.ttl })
    this.#assign()
    for (const session of this.#sessions.values()) this.#checkSession(session)
    for (const served of history.requests) this.#checkOwners(served)
  }

  #fail (problem: string): void {
    this.problems.push(problem)
  }

  /** Finds out which tokens are those of one session. */
  #follow (): void {
    for (const { token, found } of this.#history.endings) {
      if (found === undefined || !('successor' in found)) continue
      const next = this.#tokens.get(found.successor)
      if (next === undefined) this.#fail(`${token} leads to a session of whose token nobody was told`)
      else if (found.how === 'renewed' && this.#renewedFrom.has(next)) this.#fail(`${next} has taken the place of two`)
      else if (found.how === 'renewed') this.#renewedFrom.set(next, token)
    }
  }

  #root (token: string): string {
    const seen = new Set<string>()
    for (let at = token; ; at = this.#renewedFrom.get(at) as string) {
      if (!this.#renewedFrom.has(at) || seen.has(at)) return at
      seen.add(at)
    }
  }

  #session (token: string): Session | undefined {
    return this.#sessions.get(this.#root(token))
  }

  #begin (token: string, start: Session['start']): void {
    const name = `session ${this.#sessions.size}`
    if (this.#root(token) !== token) this.#fail(`${name} began under a token that another had by a renewal`)
    const endings = this.#history.endings.filter((ending) => this.#root(ending.token) === token)
    this.#births.set(token, start)
    this.#sessions.set(token, { name, tokens: endings.map(({ token }) => token), start, commits: [], claims: [], readings: [], deaths: [], possibleDeaths: [], endings })
  }

  /** Gives each event to the session that it belongs to. */
  #assign (): void {
    const births: Array<[served: Served, commit: Commit, before: string | undefined]> = []
    // Sessions begin before others go on with them: those of other requests are found in a second pass.
    for (const served of this.#history.requests) {
      this.#walk(served, (commit, token, before) => {
        if (before !== undefined && this.#root(token) === this.#root(before)) {
          if (token !== before) this.#births.set(token, commit)
          return
        }
        this.#begin(token, commit)
      }, () => {})
    }
    for (const served of this.#history.requests) {
      this.#walk(served, (commit, token, before) => {
        const by = `request ${served.number}`
        if (before !== undefined && this.#root(token) === this.#root(before)) {
          this.#session(token)?.commits.push(commit)
          return
        }
        births.push([served, commit, before])
        const replaced = before === undefined ? undefined : this.#successorOf(before)
        if (before !== undefined && replaced === token) this.#session(before)?.deaths.push({ ...commit, by: `${by}, which regenerates it` })
      }, (event, token) => {
        const by = `request ${served.number}`
        const session = this.#session(token)
        if (session === undefined) return this.#fail(`${by} came with the token of no session`)
        if (event.kind === 'commit') {
          for (const [dead, isCertain] of this.#line(session, event)) dead[isCertain ? 'deaths' : 'possibleDeaths'].push({ ...event, by: `${by}, which ends it` })
        } else if (event.kind === 'claim') {
          session.claims.push(event)
        } else if (event.found) {
          if (event.view !== undefined) session.readings.push({ ...event, view: event.view, by })
        }
      })
    }
    for (const [served, commit, before] of births) this.#checkBirth(served, commit, before)
  }

  /**
   * Walks through the events of a request, with the token of the session that it has at each.
   * @param saved a commit after which the session is stored under a token, which may be that of another session than before
   * @param other all else that succeeded: looks, claims, ends
   */
  #walk (served: Served, saved: (commit: Commit, token: string, before: string | undefined) => void, other: (event: Look | Claim | Commit, token: string) => void): void {
    let current: string | undefined
    for (const [i, event] of served.events.entries()) {
      if (event.error !== undefined) continue
      if (i === 0 && event.kind === 'look' && event.found) current = served.token
      if (event.kind !== 'commit' || event.ends) {
        if (current !== undefined) other(event, current)
        if (event.kind === 'commit') current = undefined
      } else if (event.token !== undefined) {
        saved(event, event.token, current)
        current = event.token
      }
    }
  }

  /** The token that came in the place of this session's last one by a `regenerate`. */
  #successorOf (token: string): string | undefined {
    for (const { found } of this.#session(token)?.endings ?? []) {
      if (found !== undefined && 'successor' in found && found.how === 'regenerated') return this.#tokens.get(found.successor)
    }
    return undefined
  }

  /** A session and those that came in its place: an end of the first ends them all, those for certain that were there before. */
  * #line (session: Session, { called, returned }: Timed): Generator<[session: Session, isCertain: boolean]> {
    const seen = new Set<Session>()
    let isCertain = true
    for (let at: Session | undefined = session; at !== undefined && !seen.has(at);) {
      yield [at, isCertain]
      seen.add(at)
      const next = this.#successorOf(at.tokens[0] as string)
      const birth = next === undefined ? undefined : this.#births.get(next)
      if (next === undefined || birth === undefined || birth.called > returned) return
      isCertain &&= birth.returned < called
      at = this.#session(next)
    }
  }

  /** A new session has what its request had, and after a `regenerate` of that only the kept keys. */
  #checkBirth (served: Served, { called, returned, changes, keeps, renews, view }: Commit, before: string | undefined): void {
    const by = `request ${served.number}`
    const parent = before === undefined ? undefined : this.#session(before)
    if (before !== undefined && keeps === undefined && !renews) this.#fail(`${by}: its session has got another token`)
    const own = new Set(served.changes.map(({ value }) => value))
    const known = this.#known(parent, returned)
    for (const item of itemsOf(view)) {
      if (!own.has(item) && !known.has(item)) this.#fail(`${by} began a session with ${item}, which its own session did not have`)
    }
    if (keeps !== undefined) {
      const keys = new Set([...keeps, ...changes.map(keyOf)])
      for (const key of Object.keys(view)) if (!keys.has(key)) this.#fail(`${by}: regenerate has kept ${key}`)
    } else {
      for (const death of parent?.deaths ?? []) {
        if (death.returned < called) this.#fail(`${by} has renewed a session after its end by ${death.by}`)
      }
    }
  }

  /** All that a session may have had until a moment. */
  #known (session: Session | undefined, until: number): Set<unknown> {
    if (session === undefined) return new Set()
    const commits = session.commits.filter(({ called }) => called <= until)
    return new Set([...itemsOf(session.start.view), ...commits.flatMap(({ changes }) => changes.map(({ value }) => value))])
  }

  #checkSession (session: Session): void {
    for (const ending of session.endings) {
      if (ending.found !== undefined && 'view' in ending.found) session.readings.push({ ...ending, view: ending.found.view, by: 'the last look' })
    }
    for (const reading of session.readings) this.#checkOrigin(session, reading)
    for (const key of ['n', 'list'] as const) this.#checkSums(session, key)
    for (const key of ['last', 'flash', 'chain', 'slot'] as const) this.#checkRegister(session, key)
    this.#checkOrder(session)
    this.#checkChain(session)
    this.#checkClaims(session)
    this.#checkLife(session)
    this.#checkTtl(session)
  }

  /** Every text is of this history, and was saved by a request that had begun. */
  #checkOrigin (session: Session, { view, by, returned }: Reading): void {
    const known = this.#known(session, returned)
    for (const item of itemsOf(view)) {
      if (typeof item === 'string' && !item.startsWith(`${this.#history.name}/`)) this.#fail(`${by} has read ${item}, which is another session's`)
      else if (!known.has(item)) this.#fail(`${by} has read ${item} in ${session.name}, which nobody has saved there`)
    }
  }

  /** Increments and appended values are there once each, from their commit's answer on, unless a `clear` may have removed them. */
  #checkSums (session: Session, key: 'n' | 'list'): void {
    const kind = key === 'n' ? 'increment' : 'append'
    const born = countsOf(session.start.view, key)
    const added = [...[...born.keys()].map((item) => [item, session.start] as const), ...changesOf(session, kind).map(({ change, commit }) => [change.value, commit] as const)]
    const clears = session.commits.filter((commit) => commit.clears)
    for (const reading of session.readings) {
      const counts = countsOf(reading.view, key)
      for (const [item, count] of counts) if (count > 1) this.#fail(`${reading.by}: ${kind} ${item} was applied ${count} times`)
      for (const [item, commit] of added) {
        const others = clears.filter((clear) => clear !== commit)
        const isCleared = others.some((clear) => commit.returned < clear.called && clear.returned < reading.called)
        const mayBeCleared = others.some((clear) => clear.called < reading.returned && clear.returned > commit.called)
        if (counts.has(item)) {
          if (isCleared) this.#fail(`${reading.by}: ${kind} ${item} is there after a clear`)
        } else if (commit.returned < reading.called && !mayBeCleared) {
          this.#fail(`${reading.by}: ${kind} ${item} was lost`)
        }
      }
    }
  }

  /** A key that is overwritten as a whole has a value that nobody has overwritten before it was read. */
  #checkRegister (session: Session, key: 'last' | 'flash' | 'chain' | 'slot'): void {
    const writes: Write[] = [{ ...session.start, value: session.start.view[key] }]
    const takes: Write[] = []
    for (const commit of session.commits) {
      const own = commit.changes.filter((change) => keyOf(change) === key)
      const last = own.findLast(({ do: done }) => done !== 'take')
      // What it has set and taken back may not have been written at all.
      if (own.at(-1)?.do === 'take' && last !== undefined) writes.push({ ...commit, value: undefined, isDoubtful: !commit.clears })
      else if (last !== undefined) writes.push({ ...commit, value: last.value })
      else if (commit.clears) writes.push({ ...commit, value: undefined })
      for (const change of own) if (change.do === 'take') takes.push({ ...commit, value: change.value })
    }
    // The first `add` wins, with the others the last writer. After a `clear` another may be the first.
    const isPast = key !== 'slot' ? isOverwritten : session.commits.some(({ clears }) => clears) ? () => false : isLateAdd
    for (const reading of session.readings) {
      const current = new Set(writes.filter((write) => write.called <= reading.returned && !isPast(write, writes, reading)).map(({ value }) => value))
      const gone = takes.filter((take) => take.called <= reading.returned)
      for (const take of gone) {
        if (current.has(take.value)) current.add(undefined)
        if (take.returned < reading.called) current.delete(take.value)
      }
      const value = reading.view[key]
      if (!current.has(value)) this.#fail(`${reading.by} has read ${key} as ${String(value)}; it must be ${[...current].map(String).join(' or ')}`)
    }
  }

  /** What was appended before another value was, stands before it. */
  #checkOrder (session: Session): void {
    const commitOf = new Map<unknown, Timed>(changesOf(session, 'append').map(({ change, commit }) => [change.value, commit]))
    for (const { view, by } of session.readings) {
      const list = [view['list'] ?? []].flat()
      for (const [i, value] of list.entries()) {
        const called = commitOf.get(value)?.called ?? -Infinity
        for (const later of list.slice(i + 1)) {
          if ((commitOf.get(later)?.returned ?? Infinity) < called) this.#fail(`${by}: ${String(later)} was appended before ${String(value)}, and stands behind it`)
        }
      }
    }
  }

  /** Each update was applied to the value that the one before it has written: all of them form one chain, in the order of time. */
  #checkChain (session: Session): void {
    const updates = changesOf(session, 'update').map(({ change, commit }) => ({ value: change.value, saw: (change as Change & { saw: unknown }).saw, commit }))
    const clears = session.commits.filter(({ clears }) => clears).length
    const after = new Map<unknown, number>()
    for (const { saw } of updates) after.set(saw, (after.get(saw) ?? 0) + 1)
    const starts = clears + Number(session.start.view['chain'] === undefined)
    for (const [saw, times] of after) {
      if (times > (saw === undefined ? starts : 1)) this.#fail(`${times} updates of ${session.name} were applied to ${String(saw)}`)
    }
    const byValue = new Map<unknown, typeof updates[number]>(updates.map((update) => [update.value, update]))
    for (const { saw, commit, value } of updates) {
      if (saw !== undefined && saw !== session.start.view['chain'] && !byValue.has(saw)) this.#fail(`update ${value} has seen ${String(saw)}, which nobody has saved in ${session.name}`)
      // Whatever came before in the chain has not begun after this one's answer.
      const seen = new Set<unknown>()
      for (let before = byValue.get(saw); before !== undefined && !seen.has(before); before = byValue.get(before.saw)) {
        seen.add(before)
        if (commit.returned < before.commit.called) this.#fail(`update ${value} was answered before ${before.value} began, and comes after it`)
      }
    }
    if (clears > 0) return
    for (const { view, by, called } of session.readings) {
      const seen = new Set<unknown>()
      for (let at = byValue.get(view['chain']); at !== undefined && !seen.has(at.value); at = byValue.get(at.saw)) seen.add(at.value)
      for (const { value, commit } of updates) {
        if (commit.returned < called && !seen.has(value)) this.#fail(`${by}: update ${value} was lost`)
      }
    }
  }

  /** Exactly one claim gets the value. */
  #checkClaims ({ name, start, claims, commits, deaths, readings }: Session): void {
    const done = claims.filter(({ error }) => error === undefined)
    const won = done.filter(({ value }) => value !== undefined)
    const code = start.view['code']
    if (won.length > 1) this.#fail(`${name}: ${won.length} claims have got the value`)
    for (const { value } of won) if (value !== code) this.#fail(`${name}: a claim has got ${String(value)}`)
    const mayBeGone = code === undefined || commits.some(({ clears }) => clears)
    if (done.length > 0 && won.length === 0 && !mayBeGone) this.#fail(`${name}: ${done.length} claims, and none has got the value`)
    for (const reading of readings) {
      const { view, by } = reading
      if (view['code'] !== undefined && won.some(({ returned }) => returned < reading.called)) this.#fail(`${by} has read a value that was claimed`)
      if (view['code'] === undefined && !mayBeGone && !won.some(({ called }) => called < reading.returned)) this.#fail(`${by}: code was lost`)
    }
    for (const claim of won) this.#refuseLate(name, claim, deaths, 'a claim was served')
  }

  /** A session is found until its end, under its last token alone, and never again afterwards. */
  #checkLife ({ name, commits, deaths, possibleDeaths, endings, claims }: Session): void {
    for (const commit of commits) {
      const isWork = commit.changes.some((change) => keyOf(change) !== 'flash') || commit.clears || commit.renews
      if (isWork) this.#refuseLate(name, commit, deaths, 'a commit was served')
    }
    for (const reading of this.#looks(name)) {
      const { look, by, token } = reading
      if (look.found) this.#refuseLate(name, look, deaths, `${by} has found it`)
      const next = this.#next(token)
      if (next !== undefined && look.found && look === reading.first && (this.#births.get(next)?.returned ?? Infinity) < look.called) this.#fail(`${by} was let in with a token that was given up`)
      const mayHaveEnded = [...deaths, ...possibleDeaths].some(({ called }) => called <= look.returned)
      const mayBeGivenUp = next !== undefined && (this.#births.get(next)?.called ?? -Infinity) <= look.returned
      const exists = (this.#births.get(token)?.returned ?? Infinity) < look.called
      if (look === reading.first && !look.found && exists && !mayHaveEnded && !mayBeGivenUp) this.#fail(`${by} has not found ${name}`)
    }
    const alive = endings.filter(({ found }) => found !== undefined && 'view' in found)
    if (deaths.length > 0 && alive.length > 0) this.#fail(`${name} is there after its end by ${deaths.map(({ by }) => by).join(' and ')}`)
    if (deaths.length === 0 && alive.length !== 1 && !(possibleDeaths.length > 0 && alive.length === 0)) this.#fail(`${name}, which nobody has ended, is there ${alive.length} times`)
    if (claims.some(({ error }) => error !== undefined && !allowed.has(error))) this.#fail(`${name}: a claim has failed`)
  }

  #refuseLate (name: string, event: Timed, deaths: readonly Death[], problem: string): void {
    for (const death of deaths) if (death.returned < event.called) this.#fail(`${name}: ${problem} after its end by ${death.by}`)
  }

  #next (token: string): string | undefined {
    const found = this.#endings.get(token)?.found
    return found !== undefined && 'successor' in found ? this.#tokens.get(found.successor) : undefined
  }

  /** All looks at a session: those by its tokens, and those of requests that go on with it. */
  * #looks (name: string): Generator<{ look: Look, first: Look, by: string, token: string }, undefined> {
    for (const { events: [first, ...others], number, token } of this.#history.requests) {
      if (first?.kind !== 'look' || this.#session(token)?.name !== name) continue
      const by = `request ${number}`
      yield { look: first, first, by, token }
      if (first.found && !others.some((event) => event.kind === 'commit' && event.token !== token)) {
        for (const look of others) if (look.kind === 'look' && look.error === undefined) yield { look, first, by, token }
      }
    }
  }

  #checkTtl ({ name, start, commits, endings }: Session): void {
    const writes: Write[] = [{ ...start, value: start.ttl }]
    for (const commit of commits) {
      const last = commit.changes.findLast((change) => change.do === 'expire')
      if (last !== undefined) writes.push({ ...commit, value: last.value })
    }
    for (const { found, ...times } of endings) {
      if (found === undefined || 'successor' in found) continue
      const current = writes.filter((write) => !isOverwritten(write, writes, times)).map(({ value }) => value)
      if (!current.includes(found.ttl)) this.#fail(`${name} has a ttl of ${found.ttl}; it must be ${current.join(' or ')}`)
    }
  }

  /** A request fails only as it may, and with everything that it read it has read its own session. */
  #checkOwners ({ number, failed, events }: Served): void {
    if (failed !== undefined && !allowed.has(failed)) this.#fail(`request ${number} has failed: ${failed}`)
    for (const event of events) {
      const items = event.kind === 'claim' ? [event.value] : event.view === undefined ? [] : itemsOf(event.view)
      for (const item of items) {
        if (typeof item === 'string' && !item.startsWith(`${this.#history.name}/`)) this.#fail(`request ${number} has read ${item}, which is another session's`)
      }
    }
  }
}

/** Everything in a session's data that somebody has put there: texts, and the digits of the sum. */
function itemsOf (view: View): Set<unknown> {
  return new Set(Object.entries(view).flatMap(([key, value]) => key === 'n' ? [...countsOf(view, 'n').keys()] : [value].flat()))
}

/** How often each appended value, or each increment, is there. */
function countsOf (view: View, key: 'n' | 'list'): Map<unknown, number> {
  const counts = new Map<unknown, number>()
  if (key === 'list') {
    for (const value of [view[key] ?? []].flat()) counts.set(value, (counts.get(value) ?? 0) + 1)
  } else {
    let rest = Number(view[key] ?? 0)
    for (let i = 0; rest > 0; i++, rest = Math.floor(rest / digit)) if (rest % digit > 0) counts.set(i, rest % digit)
  }
  return counts
}

function changesOf<K extends Change['do']> ({ commits }: Session, kind: K): Array<{ change: Change, commit: Commit }> {
  return commits.flatMap((commit) => commit.changes.filter(({ do: done }) => done === kind).map((change) => ({ change, commit })))
}

function keyOf (change: Change): string {
  switch (change.do) {
    case 'set': return change.key
    case 'increment': return 'n'
    case 'append': return 'list'
    case 'update': return 'chain'
    case 'add': return 'slot'
    case 'take': return 'flash'
    case 'expire': return ''
  }
}

function isOverwritten (write: Write, writes: readonly Write[], reading: Timed): boolean {
  return writes.some((other) => other.isDoubtful !== true && write.returned < other.called && other.returned < reading.called)
}

/** True for an `add` that another was before, and for the time without one once an `add` was answered. */
function isLateAdd (write: Write, [start, ...adds]: readonly Write[], reading: Timed): boolean {
  if (write === start) return write.value === undefined && adds.some(({ returned }) => returned < reading.called)
  return start?.value !== undefined || adds.some((other) => other.returned < write.called)
}
