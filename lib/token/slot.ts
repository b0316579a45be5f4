import { setOperation, type Operation } from './operations.js'
import { isKept } from './values.js'

/** One key that was changed, or whose value may be changed in place. */
export class Slot {
  /** The known JSON text in the store; `undefined`: none. */
  text: string | undefined
  /** `undefined`: the key is absent. */
  value: unknown
  /** In their order; those before `sent` are part of a commit that is under way. */
  readonly operations: Operation[]
  sent: number
  /** True once the user holds the value, so that it must not be appended to in place. */
  handedOut: boolean

  constructor (text: string | undefined, value: unknown) {
    this.text = text
    this.value = value
    this.operations = []
    this.sent = 0
    this.handedOut = false
  }

  /** The last operation, if it is not under way and so may still be extended. */
  get waiting (): Operation | undefined {
    return this.operations.length > this.sent ? this.operations.at(-1) : undefined
  }

  /** Replaces all waiting operations. */
  set (value: unknown): void {
    this.operations.length = this.sent
    this.operations.push(setOperation)
    this.value = value
  }

  /** The operations that were under way wait again, without those that a later `set` replaces. */
  notSent (): void {
    this.operations.splice(0, this.operations.lastIndexOf(setOperation))
    this.sent = 0
  }

  /** True if an update of the value is part of a waiting `set` or of a change in place. */
  overwrites (): boolean {
    return this.waiting?.kind === 'set' || this.isChangedInPlace()
  }

  isChangedInPlace (): boolean {
    const { value, text } = this
    if (this.operations.length > 0 || typeof value !== 'object' || value === null) return false
    try {
      const now = JSON.stringify(value)
      // Another writer's text may have other spaces.
      return !isKept(value) || (now !== text && (text === undefined || now !== JSON.stringify(JSON.parse(text))))
    } catch {
      return true // JSON cannot hold it any more: the commit reports it
    }
  }
}
