import type { Link } from '../../util/linked-list.js'
import type { StoreEvent } from '../optional-interfaces.js'
import type { CommitResult, SessionChange, SessionRecord } from '../store.js'

const noIncrements: readonly number[] = Object.freeze([])
const committed = Object.freeze({ status: 'committed', increments: noIncrements })
const noFields: string[] = []

/** The index of a key in the list of an entry; -1: absent. */
type Find = (key: string) => number

const notFound: Find = () => -1

/** Maximum keys of a commit that are searched in the list. */
const searchedKeys = 8

/** The properties of few sessions, kept apart so that other sessions stay small. */
type Extra = Pick<SessionRecord, 'ttl' | 'maxAge' | 'deleteSession' | 'dataVersion' | 'name' | 'label' | 'generation' | 'subject'> & { readonly dataSince: number | undefined }

const noExtra: Extra = Object.freeze({
  ttl: undefined, maxAge: undefined, deleteSession: true, dataSince: undefined, dataVersion: undefined, name: undefined, label: undefined, generation: undefined, subject: undefined,
})

/** One session, laid out to be small. */
export class Entry implements Link<Entry> {
  id: string
  /** The data: key, JSON text, key, JSON text, … */
  fields: string[]
  createdAt: number
  /** Milliseconds since the epoch; `Infinity`: never. */
  expiresAt: number
  /** Milliseconds from `createdAt` to the last use: a small number needs no object of its own. */
  usedAfter: number
  extra: Extra | undefined
  /** True in the protected segment of the `SegmentedLru`, which alone changes it. */
  isProtected: boolean
  older: Entry | undefined = undefined
  newer: Entry | undefined = undefined

  /** @param isProtected true for the successor of a protected session */
  constructor (id: string, record: SessionRecord, isProtected = false) {
    this.id = ownCopy(id)
    this.isProtected = isProtected
    this.fields = flatten(record.fields)
    this.createdAt = record.createdAt
    this.expiresAt = record.expiresAt ?? Infinity
    this.usedAfter = record.usedAt - record.createdAt
    this.extra = extraOf(record)
    this.#neverExpireEmpty()
  }

  /** Turns into another session with the same id. */
  replace (record: SessionRecord): void {
    this.fields = flatten(record.fields)
    this.createdAt = record.createdAt
    this.expiresAt = record.expiresAt ?? Infinity
    this.usedAfter = record.usedAt - record.createdAt
    this.extra = extraOf(record)
    this.#neverExpireEmpty()
  }

  expired (now: number): boolean {
    return this.expiresAt <= now
  }

  /** True for an expired session that waits for the sweep; false for one that outlives its data. */
  isGone (now: number): boolean {
    return this.expired(now) && this.extra?.deleteSession !== false
  }

  /** Milliseconds until the expiry; `null`: never. */
  timeLeft (now: number): number | null {
    return this.expiresAt === Infinity ? null : Math.max(0, this.expiresAt - now)
  }

  deleteData (): void {
    this.fields = noFields
    this.#neverExpireEmpty()
  }

  /** A session that outlives its data has no expiry while it has none. */
  #neverExpireEmpty (): void {
    if (this.extra?.deleteSession === false && this.fields.length === 0) this.expiresAt = Infinity
  }

  record (): SessionRecord {
    const fields = new Map<string, string>()
    for (let i = 0; i < this.fields.length; i += 2) fields.set(this.fields[i] as string, this.fields[i + 1] as string)
    const { createdAt, expiresAt, usedAfter } = this
    const { ttl, maxAge, deleteSession, dataSince = createdAt, dataVersion, name, label, generation, subject } = this.extra ?? noExtra
    return { fields, createdAt, expiresAt: expiresAt === Infinity ? null : expiresAt, ttl, maxAge, deleteSession, dataSince, dataVersion, usedAt: createdAt + usedAfter, name, label, generation, subject }
  }

  /** The keys that `apply` would write or remove. */
  changedKeys (change: SessionChange): string[] {
    const keys = new Set<string>([...change.set.keys(), ...change.increment.keys(), ...change.remove])
    if (change.clear) for (let i = 0; i < this.fields.length; i += 2) keys.add(this.fields[i] as string)
    return [...keys]
  }

  apply (change: SessionChange): CommitResult {
    const find = this.#finder(change)
    const textOf = (key: string): string | undefined => {
      const at = find(key)
      return at < 0 ? undefined : this.fields[at + 1]
    }
    if (change.expect.size > 0 || change.expectVersion !== undefined) {
      const current = new Map([...change.expect.keys()].map((key) => [key, textOf(key)]))
      for (const [key, text] of change.expect) if (current.get(key) !== text) return { status: 'conflict', current }
      if (!this.#hasVersion(change)) return { status: 'conflict', current }
    }
    let increments = noIncrements
    if (change.increment.size > 0) {
      const sums: number[] = []
      for (const [key, by] of change.increment) {
        const text = change.clear ? undefined : textOf(key)
        const sum = Number(text ?? 0) + by
        if (!/^-?\d+$/.test(text ?? '0') || !Number.isSafeInteger(sum)) return { status: 'not-a-number', key }
        sums.push(sum)
      }
      increments = sums
    }
    const begins = this.extra?.deleteSession === false && (change.clear || this.fields.length === 0)
    this.#write(change, increments, change.clear ? notFound : find)
    if (begins && change.dataSince !== undefined) this.extra = { ...this.extra ?? noExtra, dataSince: change.dataSince }
    if (change.expiresAt !== undefined) this.expiresAt = change.expiresAt ?? Infinity
    if (change.usedAt !== undefined) this.usedAfter = change.usedAt - this.createdAt
    if (change.label !== undefined) this.extra = { ...this.extra ?? noExtra, label: change.label === null ? undefined : ownCopy(change.label) }
    if (change.ttl !== undefined) this.extra = { ...this.extra ?? noExtra, ttl: change.ttl }
    if (change.dataVersion !== undefined) this.extra = { ...this.extra ?? noExtra, dataVersion: change.dataVersion || undefined }
    if (change.subject !== undefined) this.extra = { ...this.extra ?? noExtra, subject: change.subject === null ? undefined : ownCopy(change.subject) }
    this.#neverExpireEmpty()
    return increments === noIncrements ? committed : { status: 'committed', increments }
  }

  /** False if the data are of another version than the change expects, or have keys that a change of the version does not know. */
  #hasVersion ({ expect, clear, expectVersion, dataVersion }: SessionChange): boolean {
    if (expectVersion !== undefined && expectVersion !== (this.extra?.dataVersion ?? 0)) return false
    return dataVersion === undefined || clear || this.fields.length / 2 === [...expect.values()].filter((text) => text !== undefined).length
  }

  /** Replaces texts in place, and creates a new list only when keys are added or removed. */
  #write (change: SessionChange, increments: readonly number[], find: Find): void {
    if (change.clear) this.fields = noFields
    let added: Array<readonly [string, string]> | undefined
    for (const entry of change.set) if (!this.#replace(find(entry[0]), entry[1])) (added ??= []).push(entry)
    let i = 0
    for (const key of change.increment.keys()) {
      const text = String(increments[i++])
      if (!this.#replace(find(key), text)) (added ??= []).push([key, text])
    }
    if (added === undefined && change.remove.length === 0) return
    const all = new Map<string, string>()
    for (let i = 0; i < this.fields.length; i += 2) all.set(this.fields[i] as string, this.fields[i + 1] as string)
    for (const key of change.remove) all.delete(key)
    for (const [key, text] of added ?? []) all.set(key, text)
    this.fields = flatten(all)
  }

  #replace (at: number, text: string): boolean {
    if (at >= 0) this.fields[at + 1] = text
    return at >= 0
  }

  /** A search of the list is the fastest for a few keys; for many it would make a commit quadratic. */
  #finder ({ expect, set, increment }: SessionChange): Find {
    const { fields } = this
    if (expect.size + set.size + increment.size <= searchedKeys) return (key) => search(fields, key)
    const indexes = new Map<string, number>()
    for (let i = 0; i < fields.length; i += 2) indexes.set(fields[i] as string, i)
    return (key) => indexes.get(key) ?? -1
  }
}

function search (fields: readonly string[], key: string): number {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === key) return i
  return -1
}

function extraOf ({ ttl, maxAge, deleteSession, dataSince, dataVersion, name, label, generation, subject }: SessionRecord): Extra | undefined {
  if (deleteSession && (ttl ?? maxAge ?? dataVersion ?? name ?? label ?? generation ?? subject) === undefined && ttl !== null && maxAge !== null) return undefined
  return { ttl, maxAge, deleteSession, dataSince, dataVersion, name: name && ownCopy(name), label: label && ownCopy(label), generation, subject: subject && ownCopy(subject) }
}

function flatten (fields: ReadonlyMap<string, string>): string[] {
  const list = new Array<string>(fields.size * 2)
  let i = 0
  for (const [key, text] of fields) {
    list[i++] = key.length < 13 ? key : ownCopy(key) // V8 copies strings under 13 characters by itself
    list[i++] = text
  }
  return list
}

/** Copies a string: a long one that was cut out of another would keep that other in memory, a whole request for example. */
export function ownCopy (text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}

/** The sessions of each subject. */
export class SubjectIndex {
  readonly #entries = new Map<string, Set<Entry>>()

  add (entry: Entry): void {
    const subject = entry.extra?.subject
    if (subject === undefined) return
    const entries = this.#entries.get(subject)
    if (entries === undefined) this.#entries.set(subject, new Set([entry]))
    else entries.add(entry)
  }

  remove (entry: Entry): void {
    const subject = entry.extra?.subject
    if (subject === undefined) return
    const entries = this.#entries.get(subject)
    entries?.delete(entry)
    if (entries?.size === 0) this.#entries.delete(subject)
  }

  of (subject: string): ReadonlySet<Entry> | undefined {
    return this.#entries.get(subject)
  }
}

interface Watch {
  readonly listener: (event: StoreEvent) => void
  stopped: boolean
}

/** The listeners of each watched session. They run after the write, so that they find the store consistent. */
export class Watchers {
  readonly #watches = new Map<Entry, Set<Watch>>()

  /** @returns a function that stops it */
  watch (entry: Entry, listener: (event: StoreEvent) => void): () => void {
    const watch: Watch = { listener, stopped: false }
    let watches = this.#watches.get(entry)
    if (watches === undefined) this.#watches.set(entry, watches = new Set())
    watches.add(watch)
    return () => {
      watch.stopped = true
      watches.delete(watch)
      if (watches.size === 0) this.#watches.delete(entry)
    }
  }

  has (entry: Entry): boolean {
    return this.#watches.size > 0 && this.#watches.has(entry)
  }

  notify (entry: Entry, event: StoreEvent): void {
    for (const watch of this.#watches.get(entry) ?? []) queueMicrotask(() => { if (!watch.stopped) watch.listener(event) })
  }

  /** Removes all listeners of a session that is gone. */
  remove (entry: Entry): void {
    if (this.#watches.size > 0) this.#watches.delete(entry)
  }
}
