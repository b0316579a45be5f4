import { NotANumberError } from '../errors.js'
import type { SessionChange, SessionRecord } from '../stores/store.js'
import { describeType, show } from '../util/option-rules.js'
import { appended, applied, isWork, operate, type Update } from './operations.js'
import { Slot } from './slot.js'
import { checkKey, checkValue, parseValue, textOf } from './values.js'

/** A draft's part of a commit, and the slots that it comes from. */
export interface Sent {
  readonly change: Pick<SessionChange, 'expect' | 'clear' | 'set' | 'remove' | 'increment' | 'expectVersion' | 'dataVersion'>
  readonly slots: ReadonlyArray<readonly [key: string, slot: Slot]>
  readonly base: Map<string, string>
  /** True if the session had no data before. */
  readonly begins: boolean
  /** The characters of all keys and texts afterwards, at the most. */
  readonly length: number
}

/** The characters of the longest whole number that JavaScript keeps exactly, with its sign. */
const maxDigits = 17
const emptyMap: ReadonlyMap<string, never> = new Map<string, never>()
const emptyList: readonly never[] = Object.freeze([])
/** Shared by all drafts of requests that only read. Never written to. */
const noSlots = new Map<string, Slot>()
/** A change that touches no data. */
export const noChange: Sent['change'] = Object.freeze({ expect: emptyMap, clear: false, set: emptyMap, remove: emptyList, increment: emptyMap, expectVersion: undefined, dataVersion: undefined })

/**
 * The data of a session as one request sees it: the texts of the store, and over them the changes of the request. Texts
 * are parsed when first read. No member is `#private`: V8 would run an initializer for each request.
 */
export class Draft {
  /** The known texts of the store, without the removed ones. */
  base: Map<string, string>
  /** True if the store has this session, so a clear has an effect. */
  protected stored: boolean
  protected slots: Map<string, Slot>
  protected cleared: boolean

  /** @param outdated true if the stored data are too old for this request: its first change removes them */
  constructor (base?: Map<string, string>, protected outdated = false) {
    this.base = base ?? new Map()
    this.slots = noSlots
    this.stored = base !== undefined
    this.cleared = false
  }

  get (key: string): unknown {
    const slot = this.slots.get(key)
    if (slot !== undefined) {
      slot.handedOut = true
      return slot.value
    }
    const text = this.base.get(key)
    if (text === undefined) return undefined
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return parseValue(key, text) // throws, with the key's name
    }
    // Only a value that can be changed in place has to be looked at again.
    if (typeof value === 'object' && value !== null) this.add(key, text, value).handedOut = true
    return value
  }

  has (key: string): boolean {
    const slot = this.slots.get(key)
    return slot === undefined ? this.base.has(key) : slot.value !== undefined
  }

  set (key: string, value: unknown): void {
    if (typeof key !== 'string' || key === '' || !key.isWellFormed()) checkKey(key)
    const isPlainNumber = typeof value === 'number' && Number.isFinite(value)
    const checked = isPlainNumber || typeof value === 'boolean' ? value : checkValue(key, value)
    const slot = this.slots.get(key) ?? this.add(key, this.base.get(key), undefined)
    slot.set(checked)
    slot.handedOut = true
  }

  delete (key: string): boolean {
    if (!this.has(key)) return false
    this.slotOf(key).set(undefined)
    return true
  }

  clear (): void {
    this.base = new Map()
    this.slots = noSlots
    this.cleared = this.stored
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
    const slot = this.slotOf(key)
    const { waiting } = slot
    if (waiting?.kind === 'increment') waiting.by += by
    else if (waiting?.kind !== 'set') slot.operations.push({ kind: 'increment', by })
    slot.value = sum
    return sum
  }

  update (key: string, fn: Update): unknown {
    checkKey(key)
    const value = applied(key, fn, this.get(key))
    const slot = this.slotOf(key)
    if (slot.overwrites()) {
      slot.set(value)
    } else {
      slot.operations.push({ kind: 'update', fn })
      slot.value = value
    }
    return value
  }

  /** Adds values to the end of a list. Many appends in one request copy the list once. */
  append (key: string, values: readonly unknown[]): void {
    checkKey(key)
    const added = values.map((value) => checkValue(key, value))
    const slot = this.slots.get(key) ?? this.read(key)
    const overwrites = slot.overwrites()
    const list = appended(slot.handedOut ? undefined : slot.value, slot.value, added)
    if (overwrites) {
      slot.set(list)
    } else {
      const { waiting } = slot
      if (waiting?.kind === 'append') waiting.values.push(...added)
      else slot.operations.push({ kind: 'append', values: added })
      slot.value = list
    }
    slot.handedOut = false
  }

  * keys (): Generator<string, undefined> {
    for (const key of this.base.keys()) if (this.has(key)) yield key
    for (const [key, slot] of this.slots) if (slot.value !== undefined && !this.base.has(key)) yield key
  }

  get size (): number {
    let size = this.base.size
    for (const [key, slot] of this.slots) size += Number(slot.value !== undefined) - Number(this.base.has(key))
    return size
  }

  /** True if the store has no data of this session. */
  get isEmpty (): boolean {
    return this.base.size === 0
  }

  /** True for a new session without data: there is nothing to create it for. */
  get isInitial (): boolean {
    return this.size === 0
  }

  /** The version that the stored data must have at a commit; `undefined`: any. */
  get expectedVersion (): number | undefined {
    return undefined
  }

  /** True if a commit would write any data but hints. */
  get isDirty (): boolean {
    if (this.cleared || this.slots === noSlots) return this.cleared
    for (const [key, slot] of this.slots) if (slot.operations.length > 0 ? slot.operations.some(isWork) && isChanged(key, slot) : typeof slot.value === 'object' && slot.isChangedInPlace()) return true
    return false
  }

  /** All data as JSON texts: a new session is created with them. */
  texts (): Map<string, string> {
    const texts = new Map(this.base)
    for (const [key, slot] of this.slots) {
      const text = textOf(key, slot.value)
      if (text === undefined) texts.delete(key)
      else texts.set(key, text)
    }
    return texts
  }

  /**
   * The part of a commit that is this draft's; `undefined` if there is nothing to write. The operations count as under
   * way until `sent()` or `notSent()`.
   * @throws ValueError (`FST_SESSION_VALUE`) for a value that was changed in place into one that JSON cannot hold
   */
  toSend (): Sent | undefined {
    if (this.slots === noSlots && !this.cleared) return undefined
    const clear = this.cleared || this.outdated
    let expect: Map<string, string | undefined> | undefined
    let set: Map<string, string> | undefined
    let remove: string[] | undefined
    let increment: Map<string, number> | undefined
    const slots: Array<[string, Slot]> = []
    let length = 0
    for (const [key, text] of this.base) length += key.length + text.length
    for (const entry of this.slots) {
      const [key, slot] = entry
      if (typeof slot.value === 'object' && slot.isChangedInPlace()) slot.set(slot.value)
      const first = slot.operations[0]
      if (first === undefined) continue
      slots.push(entry)
      if (first.kind === 'increment' && slot.operations.length === 1) {
        (increment ??= new Map()).set(key, first.by)
        length += key.length + maxDigits
        continue
      }
      // After a clear the value depends on nothing that is stored.
      if (first.kind !== 'set' && !clear) (expect ??= new Map()).set(key, slot.text)
      const text = slot.value === undefined ? undefined : JSON.stringify(typeof slot.value === 'object' ? checkValue(key, slot.value) : slot.value)
      if (text !== undefined) (set ??= new Map()).set(key, text)
      else if (slot.text !== undefined) (remove ??= []).push(key)
      length += key.length + (text?.length ?? 0)
    }
    if (!this.cleared && (expect ?? set ?? remove ?? increment) === undefined) return undefined
    for (const [, slot] of slots) slot.sent = slot.operations.length
    return {
      change: { expect: expect ?? emptyMap, clear, set: set ?? emptyMap, remove: remove ?? emptyList, increment: increment ?? emptyMap, expectVersion: undefined, dataVersion: undefined },
      slots,
      base: this.base,
      begins: this.base.size === 0,
      length,
    }
  }

  /** The store has applied the commit. The changes since then stay to be sent. */
  sent ({ change, slots, base }: Sent, increments: readonly number[]): void {
    if (base !== this.base) return // cleared meanwhile: all of this is to be removed
    if (change.clear) this.cleared = this.outdated = false
    for (const [key, text] of change.set) base.set(key, text)
    for (const key of change.remove) base.delete(key)
    let i = 0
    for (const key of change.increment.keys()) base.set(key, String(increments[i++]))
    for (const [key, slot] of slots) {
      const wasIncrement = change.increment.has(key)
      slot.operations.splice(0, slot.sent)
      slot.sent = 0
      slot.text = base.get(key)
      if (slot.operations.length > 0 || wasIncrement) this.recompute(key, slot)
    }
  }

  /** The store has not applied the commit: its operations wait again. */
  notSent ({ slots }: Sent): void {
    for (const [, slot] of slots) slot.notSent()
  }

  /** The store has created the session with these texts. */
  created (sent: Sent | undefined, texts: ReadonlyMap<string, string>): void {
    this.stored = true
    this.outdated = false
    if (sent === undefined) return
    this.cleared = sent.base !== this.base
    this.sent({ ...sent, change: { ...noChange, set: texts } }, emptyList)
  }

  /**
   * Other requests were first: takes their texts, and applies the waiting operations to them.
   * @param _readAnew reads the stored session, for a draft that has to see all of it; `undefined`: the session is not wanted any more
   */
  rebase (current: ReadonlyMap<string, string | undefined>, _readAnew: () => Promise<SessionRecord | undefined>): Promise<void> | undefined {
    for (const [key, text] of current) {
      if (text === undefined) this.base.delete(key)
      else this.base.set(key, text)
      const slot = this.slots.get(key)
      if (slot === undefined) continue
      slot.text = text
      this.recompute(key, slot)
    }
    return undefined
  }

  /** The known text of a key in the store. */
  storedText (key: string): string | undefined {
    return this.base.get(key)
  }

  /** @returns true if a change of this key has to be committed before it is claimed */
  beforeClaim (key: string): boolean {
    const slot = this.slots.get(key)
    return this.cleared || (slot !== undefined && (slot.operations.length > 0 || slot.isChangedInPlace()))
  }

  /** A key is gone from the store: drops its text and its parsed value. Returns the value of the text, if this request has taken it. */
  claimed (key: string, text: string | undefined): unknown {
    this.base.delete(key)
    this.slots.delete(key)
    return text === undefined ? undefined : parseValue(key, text)
  }

  protected slotOf (key: string): Slot {
    return this.slots.get(key) ?? this.read(key)
  }

  private read (key: string): Slot {
    const text = this.base.get(key)
    return this.add(key, text, text === undefined ? undefined : parseValue(key, text))
  }

  private add (key: string, text: string | undefined, value: unknown): Slot {
    if (this.slots === noSlots) this.slots = new Map()
    const slot = new Slot(text, value)
    this.slots.set(key, slot)
    return slot
  }

  /** Applies the waiting operations to the text of the store. */
  protected recompute (key: string, slot: Slot): void {
    if (slot.operations[0]?.kind === 'set') return
    let value = slot.text === undefined ? undefined : parseValue(key, slot.text)
    for (const operation of slot.operations) value = operate(key, operation, value)
    slot.value = value
    slot.handedOut = false
  }
}

function isChanged (key: string, { value, text }: Slot): boolean {
  try {
    return textOf(key, value) !== text
  } catch {
    return true
  }
}
