import fc from 'fast-check'
import assert from 'node:assert/strict'
import t from 'tap'
import { getSession, memoryStore, tokenSessions, type TokenSession } from '../../lib/index.js'
import { Draft, noChange, type Sent } from '../../lib/token/draft.js'
import { barrier, type Barrier } from '../support/barrier.js'
import { SpyStore } from '../support/spy-store.js'

type Texts = Map<string, string>
type Model = Map<string, unknown>
/** An operation that a draft has taken, as a change of the model. */
interface Effect {
  readonly key: string | undefined
  /** True if the result does not depend on the value before. */
  readonly overwrites: boolean
  readonly apply: (model: Model) => unknown
}

/** A draft without rules reads nothing more after a conflict. */
const unread = (): never => assert.fail('the session was read anew')

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/** Pure functions for `update`, also of an absent value. */
const numberUpdates: ReadonlyArray<(value: unknown) => unknown> = [
  (value) => ((value as number | undefined ?? 1) * 10) % 9973,
  (value) => value === undefined ? 7 : undefined,
]
const listUpdates: ReadonlyArray<(value: unknown) => unknown> = [
  (value) => [...value as number[] | undefined ?? []].reverse(),
  (value) => (value as number[] | undefined)?.slice(1),
  (value) => [...value as number[] | undefined ?? [], -1],
]

type Action =
  | { do: 'set' | 'increment', key: 'm' | 'n', by: number }
  | { do: 'setList' | 'append' | 'change', key: 'k' | 'l', by: number }
  | { do: 'update', key: 'm' | 'n' | 'k' | 'l', by: number }
  | { do: 'delete', key: 'm' | 'n' | 'k' | 'l' }
  | { do: 'clear' | 'send' | 'answer' | 'fail' }
type Step = Action & { draft: number }

const by = fc.integer({ min: -99, max: 99 })
const numberKey = fc.constantFrom('m' as const, 'n' as const)
const listKey = fc.constantFrom('k' as const, 'l' as const)
const anyKey = fc.constantFrom('m' as const, 'n' as const, 'k' as const, 'l' as const)
const draft = fc.nat(2)
const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(
  { weight: 4, arbitrary: fc.record({ draft, do: fc.constantFrom('set' as const, 'increment' as const, 'increment' as const), key: numberKey, by }) },
  { weight: 4, arbitrary: fc.record({ draft, do: fc.constantFrom('setList' as const, 'append' as const, 'append' as const, 'change' as const), key: listKey, by }) },
  { weight: 4, arbitrary: fc.record({ draft, do: fc.constant('update' as const), key: anyKey, by }) },
  { weight: 1, arbitrary: fc.record({ draft, do: fc.constant('delete' as const), key: anyKey }) },
  { weight: 6, arbitrary: fc.record({ draft, do: fc.constantFrom('send' as const, 'send' as const, 'answer' as const, 'answer' as const, 'fail' as const) }) },
  { weight: 1, arbitrary: fc.record({ draft, do: fc.constant('clear' as const) }) }), { maxLength: 40 })

/** A store of one session that applies a commit when the test says so. */
class ModelStore {
  readonly texts: Texts

  constructor (texts: Texts) {
    this.texts = texts
  }

  /** Returns the sums of the increments or, on a conflict, the present texts of the expected keys. */
  apply ({ expect, clear, remove, set, increment }: Sent['change']): { sums: number[] } | { current: Map<string, string | undefined> } {
    if ([...expect].some(([key, text]) => this.texts.get(key) !== text)) {
      return { current: new Map([...expect.keys()].map((key) => [key, this.texts.get(key)])) }
    }
    if (clear) this.texts.clear()
    for (const key of remove) this.texts.delete(key)
    for (const [key, text] of set) this.texts.set(key, text)
    const sums = [...increment].map(([key, by]) => {
      const sum = Number(this.texts.get(key) ?? 0) + by
      this.texts.set(key, String(sum))
      return sum
    })
    return { sums }
  }
}

/** A request: its draft, its commit under way, and the effects that no commit has acknowledged. */
class Writer {
  readonly draft: Draft
  readonly #store: ModelStore
  readonly #model: Model
  readonly #effects: Effect[] = []
  #underWay: { sent: Sent, effects: number } | undefined

  constructor (store: ModelStore, model: Model) {
    this.draft = new Draft(new Map(store.texts))
    this.#store = store
    this.#model = model
  }

  /** Begins a commit, unless one is under way or there is nothing to write. */
  send (): void {
    if (this.#underWay !== undefined) return
    const sent = this.draft.toSend()
    if (sent !== undefined) this.#underWay = { sent, effects: this.#effects.length }
  }

  /** The store decides on the commit that is under way. After a conflict it is begun again. */
  answer (): void {
    if (this.#underWay === undefined) return
    const { sent, effects } = this.#underWay
    const answer = this.#store.apply(sent.change)
    this.#underWay = undefined
    if ('sums' in answer) {
      this.#acknowledge(sent.change, effects)
      this.draft.sent(sent, answer.sums)
    } else {
      this.draft.notSent(sent)
      this.draft.rebase(answer.current, unread)
      this.send()
    }
  }

  #acknowledge ({ clear, set, remove, increment }: Sent['change'], effects: number): void {
    const before = [...this.#model]
    for (const effect of this.#effects.splice(0, effects)) effect.apply(this.#model)
    if (clear) return
    // A key that was added and deleted again, and that the store was not known to have, is left alone.
    for (const [key, value] of before) {
      const isSent = set.has(key) || remove.includes(key) || increment.has(key)
      if (!isSent && !this.#model.has(key) && this.draft.base.get(key) === undefined) this.#model.set(key, value)
    }
  }

  /** The store refuses the commit that is under way. */
  fail (): void {
    if (this.#underWay !== undefined) this.draft.notSent(this.#underWay.sent)
    this.#underWay = undefined
  }

  /** Commits until nothing is left to write. */
  finish (): void {
    for (this.send(); this.#underWay !== undefined; this.send()) this.answer()
    this.#acknowledge(noChange, this.#effects.length)
  }

  act (action: Action): void {
    const { draft } = this
    switch (action.do) {
      case 'set': return this.#set(action.key, action.by)
      case 'setList': return this.#set(action.key, [action.by])
      case 'increment':
        draft.increment(action.key, action.by)
        return this.#did(action.key, false, (model) => model.set(action.key, (model.get(action.key) as number | undefined ?? 0) + action.by))
      case 'append':
        draft.append(action.key, [action.by])
        return this.#did(action.key, false, (model) => model.set(action.key, [...model.get(action.key) as number[] | undefined ?? [], action.by]))
      case 'update': return this.#update(action.key, action.by)
      case 'change': return this.#change(action.key, action.by)
      case 'delete':
        if (draft.delete(action.key)) this.#did(action.key, true, (model) => model.delete(action.key))
        return
      case 'clear':
        draft.clear()
        return this.#did(undefined, true, (model) => { model.clear() })
      case 'send': return this.send()
      case 'answer': return this.answer()
      case 'fail': return this.fail()
    }
  }

  #set (key: string, value: unknown): void {
    this.draft.set(key, copy(value))
    this.#did(key, true, (model) => model.set(key, value))
  }

  #update (key: string, by: number): void {
    const updates = key === 'm' || key === 'n' ? numberUpdates : listUpdates
    const fn = updates[Math.abs(by) % updates.length] as (value: unknown) => unknown
    this.draft.update(key, fn)
    this.#did(key, false, (model) => {
      const value = fn(model.get(key))
      if (value === undefined) model.delete(key)
      else model.set(key, value)
    })
  }

  /**
   * Changes a list that was read: the list as it is now replaces the stored one. Such a change is only noticed where no
   * update or append of the key waits, and none of its operations is under way.
   */
  #change (key: string, by: number): void {
    const underWay = this.#underWay?.effects ?? 0
    if (this.#effects.some((effect, i) => effect.key === key && (i < underWay || !effect.overwrites))) return
    const list = this.draft.get(key) as number[] | undefined
    if (list === undefined) return
    list.push(by)
    const value = copy(list)
    this.#did(key, true, (model) => model.set(key, value))
  }

  #did (key: string | undefined, overwrites: boolean, apply: Effect['apply']): void {
    this.#effects.push({ key, overwrites, apply })
  }
}

function run (steps: readonly Step[]): void {
  const start: Array<[string, unknown]> = [['n', 5], ['l', [1, 2]]]
  const model: Model = new Map(copy(start))
  const store = new ModelStore(new Map(start.map(([key, value]) => [key, JSON.stringify(value)])))
  const writers = [0, 1, 2].map(() => new Writer(store, model))
  for (const { draft, ...action } of steps) (writers[draft] as Writer).act(action)
  for (const writer of writers) writer.finish()
  const sorted = (entries: Iterable<[string, unknown]>): Array<[string, unknown]> => [...entries].sort(([a], [b]) => a < b ? -1 : 1)
  assert.deepEqual(sorted([...store.texts].map(([key, text]) => [key, JSON.parse(text)])), sorted(model))
}

t.test('each acknowledged operation is applied once, in the order of the commits', async (t) => {
  fc.assert(fc.property(steps, run), { seed: 20, numRuns: 1000 })
  t.pass('holds')
})

t.test('a value that is set while an append of it meets a conflict is kept', async (t) => {
  run([
    { draft: 0, do: 'append', key: 'l', by: 3 }, { draft: 0, do: 'send' }, { draft: 0, do: 'setList', key: 'l', by: 4 },
    { draft: 1, do: 'append', key: 'l', by: 5 }, { draft: 1, do: 'send' }, { draft: 1, do: 'answer' }, { draft: 0, do: 'answer' },
  ])
  t.pass('holds')
})

t.test('an update during the commit of a clear is applied to the newest value', async (t) => {
  run([
    { draft: 0, do: 'clear' }, { draft: 0, do: 'increment', key: 'n', by: 1 }, { draft: 0, do: 'send' }, { draft: 0, do: 'update', key: 'n', by: 0 },
    { draft: 0, do: 'answer' }, { draft: 1, do: 'increment', key: 'n', by: 50 }, { draft: 1, do: 'send' }, { draft: 1, do: 'answer' },
  ])
  t.pass('holds')
})

t.test('operations after an increment that is under way are applied to the newest value', async (t) => {
  const timesTen = (n: unknown): number => (n as number) * 10

  t.test('drafts', async (t) => {
    const store = new ModelStore(new Map([['n', '5']]))
    const [a, b] = [new Draft(new Map(store.texts)), new Draft(new Map(store.texts))]
    const commit = (draft: Draft, sent = draft.toSend() as Sent): void => {
      const answer = store.apply(sent.change)
      if ('sums' in answer) return draft.sent(sent, answer.sums)
      draft.notSent(sent)
      draft.rebase(answer.current, unread)
      commit(draft)
    }
    a.increment('n', 1)
    const first = a.toSend()
    a.increment('n', 1)
    a.update('n', timesTen)
    commit(a, first)
    b.increment('n', 100)
    commit(b)
    commit(a)
    t.equal(store.texts.get('n'), '1070')
    t.equal(a.get('n'), 1070)
  })

  t.test('sessions on a store that answers later', async (t) => {
    const answers: Barrier[] = []
    const spy = new SpyStore(memoryStore())
    spy.before = (method) => method === 'commit' ? answers.shift()?.opened : undefined
    const users = tokenSessions<{ n: number }>({ store: spy })
    const created = await users.create()
    created.set('n', 5)
    await created.commit()
    const { token } = created
    const open = <R>(use: (session: TokenSession<{ n: number }>) => Promise<R>): Promise<R> => getSession(users, null, use, { token })

    const answer = barrier()
    answers.push(answer)
    await open((a) => open(async (b) => {
      a.increment('n')
      const committed = a.commit()
      a.increment('n')
      a.update('n', timesTen)
      answer.open()
      await committed
      b.increment('n', 100)
      await b.commit()
      await a.commit()
      t.equal(a.get('n'), 1070)
    }))
    t.equal(await open(async (session) => session.get('n')), 1070)
  })
})

t.test('4,000 appends in one request copy the list once', async (t) => {
  const stored = Array.from({ length: 1000 }, (_, i) => i)
  const draft = new Draft(new Map([['list', JSON.stringify(stored)]]))
  t.strictSame(draft.get('list'), stored)
  const copied = countCopied(() => {
    for (let i = 0; i < 4000; i++) draft.append('list', [i])
  })
  t.ok(copied >= stored.length, 'the list that was read is copied')
  t.ok(copied <= stored.length + 5 * 4000, `each append copies its own values alone: ${copied}`)
  t.equal((draft.get('list') as number[]).length, stored.length + 4000)
})

/** Counts the elements of all arrays that are iterated, or copied by a method, while a function runs. */
function countCopied (run: () => void): number {
  let count = 0
  const prototype: object = Array.prototype
  const names = [Symbol.iterator, 'concat', 'map', 'slice'] as const
  const originals = names.map((name) => Object.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor)
  for (const [i, original] of originals.entries()) {
    const method = original.value as (this: unknown[], ...args: unknown[]) => unknown
    Object.defineProperty(prototype, names[i] as string | symbol, {
      ...original,
      value (this: unknown[], ...args: unknown[]): unknown {
        count += this.length
        return Reflect.apply(method, this, args)
      },
    })
  }
  try {
    run()
  } finally {
    for (const [i, name] of names.entries()) Object.defineProperty(prototype, name, originals[i] as PropertyDescriptor)
  }
  return count
}
