import { NotANumberError } from '../errors.js'
import { describeType, show } from '../util/option-rules.js'
import type { SessionChange } from '../stores/store.js'
import { checkKey, checkValue, isKept, parseValue } from './values.js'

type Update = (value: unknown) => unknown

/** What one request knows of one key, and means to do to it. Never changed: each step puts a new one in its place. */
interface Slot {
  /** The JSON text in the store, as far as we know; `undefined`: none. */
  readonly text: string | undefined
  /** `undefined`: the key is absent. */
  readonly value: unknown
  readonly intent: 'read' | 'set' | 'increment' | 'update'
  /** What to add, for `increment`. */
  readonly by: number
  /** What to apply to the newest value, for `update`. */
  readonly updates: readonly Update[]
}

/** What a commit sends, and the slots that it was made of. */
export interface Sent {
  readonly change: Pick<SessionChange, 'expect' | 'clear' | 'set' | 'remove' | 'increment'>
  readonly slots: ReadonlyArray<readonly [key: string, slot: Slot]>
  readonly base: Map<string, string>
}

const emptyMap: ReadonlyMap<string, never> = new Map<string, never>()
const emptyList: readonly never[] = Object.freeze([])
/** What most requests that only read need. Never written to. */
const noSlots = new Map<string, Slot>()

/** A change that touches no data. */
export const noChange: Sent['change'] = Object.freeze({ expect: emptyMap, clear: false, set: emptyMap, remove: emptyList, increment: emptyMap })

/**
 * The data of a session as one request sees it: what the store had, and over it what the request has read and
 * changed. Texts are parsed when first read. It knows nothing of tokens and expiry.
 */
export class Draft {
  #base: Map<string, string>
  /** Whether the store has this session, so that there is something to clear. */
  #stored: boolean
  #slots = noSlots
  #cleared = false

  /** @param base what the store has; `undefined` for a new session */
  constructor (base?: Map<string, string>) {
    this.#base = base ?? new Map()
    this.#stored = base !== undefined
  }

  get (key: string): unknown {
    const slot = this.#slots.get(key)
    if (slot !== undefined) return slot.value
    const text = this.#base.get(key)
    if (text === undefined) return undefined
    const value = parseValue(key, text)
    // Only what can be changed in place has to be looked at again.
    if (typeof value === 'object' && value !== null) this.#keep(key, newSlot(text, value))
    return value
  }

  has (key: string): boolean {
    const slot = this.#slots.get(key)
    return slot === undefined ? this.#base.has(key) : slot.value !== undefined
  }

  set (key: string, value: unknown): void {
    checkKey(key)
    this.#put(key, checkValue(key, value), 'set')
  }

  delete (key: string): boolean {
    if (!this.has(key)) return false
    this.#put(key, undefined, 'set')
    return true
  }

  clear (): void {
    this.#base = new Map()
    this.#slots = noSlots
    this.#cleared = this.#stored
  }

  increment (key: string, by: number): number {
    checkKey(key)
    const value = this.get(key)
    const current = value === undefined ? 0 : value
    const problem = !Number.isSafeInteger(by)
      ? `${show(by)} is not a whole number.`
      : !Number.isSafeInteger(current) ? `its value, ${describeType(current)}, is not a whole number.` : undefined
    if (problem !== undefined) throw new NotANumberError(show(key), problem)
    const sum = (current as number) + by
    if (!Number.isSafeInteger(sum)) throw new NotANumberError(show(key), `${sum} is outside ±(2^53 − 1).`)
    const slot = this.#slots.get(key)
    if (slot?.intent === 'set') this.#put(key, sum, 'set')
    else if (slot?.intent === 'update') this.#put(key, sum, 'update', 0, [...slot.updates, adding(by)])
    else this.#put(key, sum, 'increment', (slot?.by ?? 0) + by)
    return sum
  }

  update (key: string, fn: Update): unknown {
    checkKey(key)
    const before = this.#slots.get(key)
    const overwrites = this.#cleared || before?.intent === 'set' || (before !== undefined && isChangedInPlace(before))
    const updates = before?.intent === 'increment' ? [adding(before.by)] : before?.updates ?? []
    const value = apply(key, fn, this.get(key))
    if (overwrites) this.#put(key, value, 'set')
    else this.#put(key, value, 'update', 0, [...updates, fn])
    return value
  }

  * keys (): Generator<string, undefined> {
    for (const key of this.#base.keys()) if (this.has(key)) yield key
    for (const [key, slot] of this.#slots) if (slot.value !== undefined && !this.#base.has(key)) yield key
  }

  get size (): number {
    let size = this.#base.size
    for (const [key, slot] of this.#slots) size += Number(slot.value !== undefined) - Number(this.#base.has(key))
    return size
  }

  /** Whether a commit would write any data. */
  get isDirty (): boolean {
    if (this.#cleared) return true
    for (const [key, slot] of this.#slots) if (slot.intent === 'read' ? isChangedInPlace(slot) : isChanged(key, slot)) return true
    return false
  }

  /** All data as JSON texts: what a new session is created with. */
  texts (): Map<string, string> {
    const texts = new Map(this.#base)
    for (const [key, slot] of this.#slots) {
      const text = textOf(key, slot)
      if (text === undefined) texts.delete(key)
      else texts.set(key, text)
    }
    return texts
  }

  /**
   * What a commit has to send; `undefined` if nothing.
   * @throws ValueError (`FST_SESSION_VALUE`) for a value that was changed in place into one that JSON cannot hold
   */
  toSend (): Sent | undefined {
    let expect: Map<string, string | undefined> | undefined
    let set: Map<string, string> | undefined
    let remove: string[] | undefined
    let increment: Map<string, number> | undefined
    const slots: Array<[string, Slot]> = []
    for (const entry of this.#slots) {
      const [key, slot] = entry
      if (slot.intent === 'read' && !isChangedInPlace(slot)) continue
      slots.push(entry)
      if (slot.intent === 'increment') {
        (increment ??= new Map()).set(key, slot.by)
        continue
      }
      if (slot.intent === 'update') (expect ??= new Map()).set(key, slot.text)
      const text = textOf(key, slot)
      if (text !== undefined) (set ??= new Map()).set(key, text)
      else if (slot.text !== undefined) (remove ??= []).push(key)
    }
    if (!this.#cleared && (expect ?? set ?? remove ?? increment) === undefined) return undefined
    return {
      change: { expect: expect ?? emptyMap, clear: this.#cleared, set: set ?? emptyMap, remove: remove ?? emptyList, increment: increment ?? emptyMap },
      slots,
      base: this.#base,
    }
  }

  /** The store has applied what was sent. What was done meanwhile stays to be sent. */
  sent ({ change, slots, base }: Sent, increments: readonly number[]): void {
    if (base !== this.#base) return // cleared meanwhile: all of this is to be removed
    if (change.clear) this.#cleared = false
    for (const [key, text] of change.set) base.set(key, text)
    for (const key of change.remove) base.delete(key)
    let i = 0
    for (const key of change.increment.keys()) base.set(key, String(increments[i++]))
    for (const [key, sent] of slots) {
      const now = this.#slots.get(key) as Slot
      const text = base.get(key)
      if (now === sent) this.#keep(key, sent.intent === 'increment' ? this.#parsed(key, text) : newSlot(text, sent.value))
      else this.#keep(key, remaining(now, sent, text))
    }
  }

  /** The store has created the session with these texts. */
  created (sent: Sent, texts: ReadonlyMap<string, string>): void {
    this.#stored = true
    if (sent.base !== this.#base) this.#cleared = true
    this.sent({ ...sent, change: { ...noChange, set: texts } }, emptyList)
  }

  /** Others were first: applies the updates to what they have written. */
  rebase (current: ReadonlyMap<string, string | undefined>): void {
    for (const [key, text] of current) {
      if (text === undefined) this.#base.delete(key)
      else this.#base.set(key, text)
      const before = this.#slots.get(key)
      if (before?.intent !== 'update') continue
      const value = before.updates.reduce((value, update) => apply(key, update, value), this.#parsed(key, text).value)
      this.#keep(key, newSlot(text, value, 'update', 0, before.updates))
    }
  }

  #keep (key: string, slot: Slot): void {
    if (this.#slots === noSlots) this.#slots = new Map()
    this.#slots.set(key, slot)
  }

  #parsed (key: string, text: string | undefined): Slot {
    return newSlot(text, text === undefined ? undefined : parseValue(key, text))
  }

  #put (key: string, value: unknown, intent: Slot['intent'], by = 0, updates: readonly Update[] = emptyList): void {
    const text = this.#slots.get(key)?.text ?? this.#base.get(key)
    this.#keep(key, newSlot(text, value, intent, by, updates))
  }
}

function newSlot (text: Slot['text'], value: unknown, intent: Slot['intent'] = 'read', by = 0, updates: readonly Update[] = emptyList): Slot {
  return { text, value, intent, by, updates }
}

/** What was done to a slot after it was sent. */
function remaining (now: Slot, sent: Slot, text: string | undefined): Slot {
  if (now.intent === 'increment') return newSlot(text, Number(text) + now.by - sent.by, 'increment', now.by - sent.by)
  if (now.intent !== 'update') return newSlot(text, now.value, now.intent)
  // It was worked out from the sum as this request knew it: if others have added to that, the next commit finds out.
  return sent.intent === 'increment'
    ? newSlot(String(sent.value), now.value, 'update', 0, now.updates.slice(1))
    : newSlot(text, now.value, 'update', 0, now.updates.slice(sent.updates.length))
}

/** Works on a copy: an update that fails half way has changed nothing. */
function apply (key: string, update: Update, value: unknown): unknown {
  const next = update(typeof value === 'object' && value !== null ? JSON.parse(JSON.stringify(checkValue(key, value))) : value)
  return next === undefined ? undefined : checkValue(key, next)
}

function adding (by: number): Update {
  return (value) => (value as number | undefined ?? 0) + by
}

function isChangedInPlace ({ intent, value, text }: Slot): boolean {
  if (intent !== 'read' || typeof value !== 'object' || value === null) return false
  try {
    const now = JSON.stringify(value)
    // Another writer's text may have other spaces.
    return !isKept(value) || (now !== text && (text === undefined || now !== JSON.stringify(JSON.parse(text))))
  } catch {
    return true // it now holds what JSON cannot: the commit says so
  }
}

function isChanged (key: string, slot: Slot): boolean {
  try {
    return textOf(key, slot) !== slot.text
  } catch {
    return true
  }
}

function textOf (key: string, { value }: Slot): string | undefined {
  return value === undefined ? undefined : JSON.stringify(checkValue(key, value))
}
