/** Histories of each place: `npm run test:long` runs them all. */
export const historyCount = process.env['LONG'] === '1' ? 20_000 : 1000

/** Requests that fail after a commit of their own warn of the rest, which was not kept. */
export function ignoreWarnings (): void {
  process.removeAllListeners('warning')
}
