import { createHash } from 'node:crypto'
import { getSession, type SessionRecord, type SessionStore, type TokenProvider, type TokenSession } from '../../../lib/index.js'
import type { Change, Commit, Ending, Served, Timed, View } from './history.js'
import { digit, type RequestPlan, type Step } from './plan.js'
import { turns } from '../random.js'

type Data = Record<string, unknown>
type Session = TokenSession<Data>
export type Users = TokenProvider<Data>

/** Seconds that a session lives without being used: nothing expires in a history. */
export const ttl = 1800

/** Nanoseconds of a clock that all processes of the machine share. */
export function now (): number {
  return Number(process.hrtime.bigint())
}

/** What a request has done since its last commit. */
class Pending {
  changes: Change[] = []
  clears = false
  renews = false
  ends = false
  keeps: readonly string[] | undefined = undefined
}

/**
 * Does what a request is to do, and writes down how it went.
 * @param tokens those that its process knows of the session, the first one first; its own new ones are added
 */
export async function serve (plan: RequestPlan, name: string, users: Users, tokens: string[]): Promise<Served> {
  await turns(plan.wait)
  const request = new Request(plan, name, tokens)
  await request.run(users)
  return request.served
}

class Request {
  readonly served: Served
  readonly #plan: RequestPlan
  readonly #name: string
  readonly #tokens: string[]
  #pending = new Pending()

  constructor (plan: RequestPlan, name: string, tokens: string[]) {
    this.#plan = plan
    this.#name = name
    this.#tokens = tokens
    const choice = { first: 0, latest: tokens.length - 1, any: plan.number % tokens.length }[plan.token]
    this.served = { number: plan.number, process: plan.process, token: tokens[choice] as string, events: [], changes: [], failed: undefined }
  }

  async run (users: Users): Promise<void> {
    const { looks, steps } = this.#plan
    const { served } = this
    const called = now()
    let last: { session: Session, called: number } | undefined
    try {
      await getSession(users, null, async (session) => {
        served.events.push({ kind: 'look', called, returned: now(), found: !session.isNew, view: looks && !session.isNew ? session.data() : undefined })
        for (const step of steps) {
          await turns(step.wait)
          await this.#do(session, step)
        }
        last = { session, called: now() }
      }, { token: served.token })
      if (last !== undefined) this.#committed(last.session, { called: last.called, returned: now() })
    } catch (error) {
      served.failed = codeOf(error)
      if (last !== undefined) this.#committed(last.session, { called: last.called, returned: now(), error: served.failed })
    }
  }

  async #do (session: Session, step: Step): Promise<void> {
    const value = `${this.#name}/${step.number}`
    const pending = this.#pending
    switch (step.do) {
      case 'get': session.get('list'); session.get('chain'); break
      case 'set': session.set('last', value); this.#changed({ do: 'set', key: 'last', value }); break
      case 'set flash': session.set('flash', value); this.#changed({ do: 'set', key: 'flash', value }); break
      case 'increment': session.increment('n', digit ** step.number); this.#changed({ do: 'increment', value: step.number }); break
      case 'append': session.append('list', value); this.#changed({ do: 'append', value }); break
      case 'update': {
        const change: Change = { do: 'update', value, saw: undefined }
        session.update('chain', (saw) => {
          change.saw = saw
          return value
        })
        this.#changed(change)
        break
      }
      case 'add': if (session.add('slot', value)) this.#changed({ do: 'add', value }); break
      case 'take': {
        const taken = session.take('flash')
        if (taken !== undefined) this.#changed({ do: 'take', value: taken })
        break
      }
      case 'claim':
        // It would commit by itself where the key may have a change that waits.
        if (pending.clears || pending.keeps !== undefined || session.isNew) await this.#commit(session)
        await this.#timed(() => session.claim('code'), (times, value) => { this.served.events.push({ kind: 'claim', ...times, value }) })
        break
      case 'clear':
        session.clear()
        pending.changes = pending.changes.filter((change) => change.do === 'expire')
        pending.clears = !session.isNew
        break
      case 'renew':
        session.renew()
        pending.renews = true
        break
      case 'regenerate':
        session.regenerate(step.keep)
        this.#pending = Object.assign(new Pending(), { keeps: step.keep })
        break
      case 'end':
        session.end()
        this.#pending = Object.assign(new Pending(), { ends: true })
        break
      case 'expire':
        session.expire(ttl + 1 + step.number)
        this.#changed({ do: 'expire', value: ttl + 1 + step.number })
        break
      case 'reload':
        await this.#timed(() => session.reload(), (times) => {
          const found = times.error === undefined && !session.isNew
          this.served.events.push({ kind: 'look', ...times, found, view: found ? session.data() : undefined })
        })
        this.#pending = new Pending()
        break
      case 'commit': await this.#commit(session)
    }
  }

  #changed (change: Change): void {
    this.#pending.changes.push(change)
    this.served.changes.push(change)
  }

  #commit (session: Session): Promise<unknown> {
    return this.#timed(() => session.commit(), (times) => { this.#committed(session, times) })
  }

  async #timed<T> (call: () => Promise<T>, done: (times: Timed, value?: T) => void): Promise<void> {
    const called = now()
    try {
      const value = await call()
      done({ called, returned: now() }, value)
    } catch (error) {
      done({ called, returned: now(), error: codeOf(error) })
      throw error
    }
  }

  #committed (session: Session, times: Timed): void {
    const { changes, ...how } = this.#pending
    const token = session.isNew ? undefined : session.token
    const commit: Commit = { kind: 'commit', ...times, ...how, changes: changes.map((change) => ({ ...change })), token, view: session.data(), ttl: session.ttl }
    this.served.events.push(commit)
    if (times.error !== undefined) return
    this.#pending = new Pending()
    if (token !== undefined && !this.#tokens.includes(token)) this.#tokens.push(token)
  }
}

/** Asks the store what each token leads to in the end. */
export function endingsOf (store: SessionStore, tokens: Iterable<string>): Promise<Ending[]> {
  return Promise.all([...new Set(tokens)].map(async (token): Promise<Ending> => {
    const id = createHash('sha256').update(token).digest('base64url')
    const called = now()
    const found = await store.load(id)
    const times = { token, id, called, returned: now() }
    if (found === undefined || 'successor' in found) return { ...times, found }
    return { ...times, found: { view: viewOf(found), ttl: found.ttl === undefined ? ttl : found.ttl } }
  }))
}

function viewOf ({ fields }: SessionRecord): View {
  return Object.fromEntries([...fields].map(([key, text]) => [key, JSON.parse(text) as unknown]))
}

function codeOf (error: unknown): string {
  const { code, stack } = Object(error) as { code?: unknown, stack?: unknown }
  return String(code ?? stack ?? error)
}
