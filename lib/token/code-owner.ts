import type { SessionOwner } from './session-state.js'

/** Owner of a session that no client holds through a reply: code that opened it by itself, and commits it by itself. */
export class CodeOwner implements SessionOwner {
  readonly route: string
  readonly cutOff = false
  readonly reachable = true

  /** @param call for errors: `load()` */
  constructor (call: string) {
    this.route = call
  }

  tell (): void {}

  forget (): void {}

  warn (problem: string): void {
    process.emitWarning(`${this.route}: ${problem}`, 'FastifyRequestSessionWarning')
  }

  cutOffFor (error: unknown): never {
    throw error
  }
}
