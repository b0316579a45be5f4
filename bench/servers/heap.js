/**
 * A command: what the server holds.
 * @param {() => number} count how many sessions were made
 */
export const heapCommands = (count) => ({
  heap () {
    globalThis.gc()
    globalThis.gc()
    const { heapUsed, external } = process.memoryUsage()
    return { heapUsed, external, sessions: count() }
  },
})
