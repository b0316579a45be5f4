/** Thrown by a starter when a program that it needs is not on this machine; the message says how to get it. */
export class MissingServer extends Error {
  /**
   * @param what what is missing, e.g. `redis-server`
   * @param how how a reader gets it, e.g. a command or an environment variable
   */
  constructor (what: string, how: string) {
    super(`${what} is missing: ${how}`)
    this.name = 'MissingServer'
  }
}
