import type { SessionRecord } from '../../stores/store.js'
import { Draft, type Sent } from '../draft.js'
import type { DataRules, Texts } from './data-rules.js'

/**
 * A draft of data with rules. It shows the data as the rules return them, which may differ from the stored ones: a change of such
 * a key is sent as its result, and expects the stored text. Initial and migrated data are sent whole, with the first change.
 */
export class CheckedDraft extends Draft {
  /** The stored texts of keys that are shown with other ones; `undefined`: none. */
  private readonly others = new Map<string, string | undefined>()
  /** `initial`: the store has no data. `older`: it has data of an older version. Both are sent whole. */
  private whole: 'initial' | 'older' | undefined
  /** The version of the data in the store; `undefined`: the store does not have the session. */
  private version: number | undefined

  private constructor (private readonly rules: DataRules, private readonly route: string, base: Texts | undefined, outdated: boolean) {
    super(base, outdated)
  }

  /**
   * The draft of a record, or of a new session.
   * @param outdated true if the record's data are too old: the first change removes them
   * @throws SessionDataError (`FST_SESSION_DATA`), RecordError (`FST_SESSION_RECORD`)
   */
  static of (rules: DataRules, route: string, record: SessionRecord | undefined, outdated: boolean): CheckedDraft {
    const draft = new CheckedDraft(rules, route, record?.fields, outdated)
    if (record === undefined) draft.begin(rules.initial(route))
    else draft.show(record)
    return draft
  }

  /** True also for a new session with its initial data alone. */
  override get isInitial (): boolean {
    return super.isInitial || (!this.stored && this.whole === 'initial' && ![...this.slots.values()].some(({ operations }) => operations.length > 0) && !this.isDirty)
  }

  override get expectedVersion (): number | undefined {
    return this.version
  }

  override get isEmpty (): boolean {
    return this.whole === 'initial' || super.isEmpty
  }

  override clear (): void {
    const initial = this.rules.initial(this.route)
    super.clear()
    this.begin(initial)
  }

  override storedText (key: string): string | undefined {
    return this.others.has(key) ? this.others.get(key) : this.base.get(key)
  }

  override toSend (): Sent | undefined {
    const sent = super.toSend()
    if (sent === undefined) return undefined
    try {
      const texts = this.texts()
      this.rules.check(texts, this.route)
      const change = this.whole === undefined ? this.changeOfKeys(sent, texts) : this.changeOfAll(sent, texts)
      return { ...sent, begins: this.isEmpty, change: { ...change, expectVersion: this.version } }
    } catch (error) {
      this.notSent(sent)
      throw error
    }
  }

  override sent (sent: Sent, increments: readonly number[]): void {
    const { set, remove, dataVersion } = sent.change
    super.sent(sent, increments)
    if (dataVersion !== undefined) this.version = dataVersion
    if (sent.base !== this.base) return
    for (const key of [...set.keys(), ...remove]) this.others.delete(key)
    if (dataVersion === undefined) return
    this.whole = undefined
    this.others.clear()
  }

  override created (sent: Sent | undefined, texts: ReadonlyMap<string, string>): void {
    super.created(sent, texts)
    this.version = this.rules.version
    if (sent !== undefined && sent.base !== this.base) return
    this.whole = undefined
    this.others.clear()
  }

  override beforeClaim (key: string): boolean {
    const texts = this.texts()
    if (texts.delete(key)) this.rules.check(texts, this.route)
    if (this.whole !== undefined && this.has(key)) this.update(key, (value) => value)
    return super.beforeClaim(key)
  }

  /** A default stays shown: the store has none of it that one caller could get. */
  override claimed (key: string, text: string | undefined): unknown {
    if (text === undefined && this.others.has(key) && this.others.get(key) === undefined) return undefined
    const shown = text !== undefined && text === this.others.get(key) ? this.get(key) : undefined
    this.others.delete(key)
    const stored = super.claimed(key, text)
    return shown ?? stored
  }

  /**
   * Takes the whole record of the store: its rules look at all data.
   * @throws SessionDataError (`FST_SESSION_DATA`)
   */
  override async rebase (_current: unknown, readAnew: () => Promise<SessionRecord | undefined>): Promise<void> {
    const record = await readAnew()
    if (record === undefined) return
    this.show(record)
    for (const [key, slot] of this.slots) {
      if (slot.operations.length === 0) continue
      slot.text = this.base.get(key)
      this.recompute(key, slot)
    }
  }

  /** Shows initial data. */
  private begin (initial: Texts): void {
    this.base = initial
    this.others.clear()
    this.whole = 'initial'
  }

  private show (record: SessionRecord): void {
    const { fields, deleteSession, dataVersion = 0 } = record
    this.rules.refuseNewer(dataVersion, this.route)
    const begins = this.outdated || (!deleteSession && fields.size === 0)
    const shown = this.cleared ? this.base : begins ? this.rules.initial(this.route) : this.rules.read(fields, dataVersion, this.route)
    this.version = dataVersion
    if (this.cleared) return
    if (begins) {
      this.begin(shown)
      return
    }
    this.base = shown
    this.whole = dataVersion < this.rules.version ? 'older' : undefined
    this.others.clear()
    for (const [key, text] of fields) if (shown.get(key) !== text) this.others.set(key, text)
    for (const key of shown.keys()) if (!fields.has(key)) this.others.set(key, undefined)
  }

  /** Keys that are shown with another value than the stored one depend on no increment of the store. */
  private changeOfKeys ({ change }: Sent, texts: Texts): Sent['change'] {
    if (this.others.size === 0) return change
    const expect = new Map(change.expect)
    const set = new Map(change.set)
    const increment = new Map(change.increment)
    for (const key of expect.keys()) expect.set(key, this.storedText(key))
    for (const key of change.increment.keys()) {
      if (!this.others.has(key)) continue
      increment.delete(key)
      expect.set(key, this.storedText(key))
      set.set(key, texts.get(key) as string)
    }
    return { ...change, expect, set, increment }
  }

  private changeOfAll ({ change }: Sent, texts: Texts): Sent['change'] {
    const keys = new Set([...texts.keys(), ...this.base.keys(), ...this.others.keys()])
    const isEmpty = this.whole === 'initial'
    const stored = (key: string): string | undefined => isEmpty ? undefined : this.storedText(key)
    const expect = new Map([...keys].map((key) => [key, stored(key)]))
    const set = new Map([...texts].filter(([key, text]) => text !== stored(key)))
    const remove = [...keys].filter((key) => !texts.has(key) && stored(key) !== undefined)
    return { ...change, expect: change.clear ? new Map() : expect, set, remove, increment: new Map(), dataVersion: this.rules.version }
  }
}
