/** What a subscriber is told. */
export type SessionUpdate =
  /**
   * Keys were written or removed. `undefined`: it is not known which, because there were too many, or because the
   * connection was lost for a while: read the session.
   */
  | { readonly type: 'changed', readonly keys: readonly string[] | undefined }
  /** The time is up: the session is gone, or (with `deleteSession: false`) its data. */
  | { readonly type: 'expired' }
  /** Ended, or (`renewed`) given another token, which who knows only the old one is not told. */
  | { readonly type: 'ended', readonly renewed: boolean }

/** Told one update after the other: the next waits for the promise of the last. */
export type UpdateListener = (update: SessionUpdate) => unknown

/** The most keys that one update names, and the most updates that wait. */
const maxKeys = 1000
const maxUpdates = 100

/**
 * What a listener has still to be told. One that is slower than the session changes is told of several changes as one,
 * so that what waits is bounded; the end is never lost.
 */
export class UpdateQueue {
  readonly #listener: UpdateListener
  #waiting: SessionUpdate[] = []
  #state: 'unstarted' | 'idle' | 'telling' = 'unstarted'

  constructor (listener: UpdateListener) {
    this.#listener = listener
  }

  /** Tells what has come so far, in a later turn of the event loop, and all that follows. */
  start (): void {
    this.#state = 'idle'
    setImmediate(() => this.#tell())
  }

  /** @param keys `undefined`: it is not known which */
  changed (keys: readonly string[] | undefined): void {
    const last = this.#waiting.at(-1)
    if (last?.type !== 'changed') return this.add({ type: 'changed', keys })
    const all = keys && last.keys && [...new Set([...last.keys, ...keys])]
    this.#waiting[this.#waiting.length - 1] = { type: 'changed', keys: all && all.length <= maxKeys ? all : undefined }
  }

  add (update: SessionUpdate): void {
    if (this.#waiting.length === maxUpdates) this.#waiting = [{ type: 'changed', keys: undefined }]
    this.#waiting.push(update)
    if (this.#state === 'idle') this.#tell()
  }

  clear (): void {
    this.#waiting = []
  }

  async #tell (): Promise<void> {
    if (this.#state !== 'idle') return
    this.#state = 'telling'
    for (let update = this.#waiting.shift(); update !== undefined; update = this.#waiting.shift()) {
      try {
        await this.#listener(update)
      } catch (error) {
        process.emitWarning(`a listener of subscribe() failed: ${String(Object(error).message ?? error)}`, 'FastifyRequestSessionWarning')
      }
    }
    this.#state = 'idle'
  }
}
