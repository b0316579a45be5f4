/**
 * Where one route opens its sessions, for the warning of one that is held too long. A stack costs about as much as all
 * else that the plugin does in a request, so that only the first opening of a route has one, until a session of the route
 * was held too long: from then on each has its own.
 */
export class OpeningTrace {
  #first: Error | undefined
  #exact = false

  /** Called at each opening. Only the `stack` of what it gives costs much to read. */
  record (): Error | undefined {
    if (this.#first !== undefined && !this.#exact) return undefined
    const opened = new Error('opened here')
    this.#first ??= opened
    return opened
  }

  /** The stack to tell of a session that is held too long. */
  tell (own: Error | undefined): string {
    this.#exact = true
    return own?.stack ?? `of the first session of this route: ${this.#first?.stack}`
  }
}
