import { scaled } from '../scale.js'

/** Histories of each place. */
export const historyCount = scaled(200, 20_000)

/** Requests that fail after a commit of their own warn of the rest, which was not kept. */
export function ignoreWarnings (): void {
  process.removeAllListeners('warning')
}
