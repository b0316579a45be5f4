/**
 * A command for servers that run with --expose-gc: what they hold.
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
