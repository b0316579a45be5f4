/** Commands for servers that run with --expose-gc: what the live sessions hold. */
export const heapCommands = (count) => ({
  heap () {
    globalThis.gc()
    globalThis.gc()
    const { heapUsed, external } = process.memoryUsage()
    return { heapUsed, external, sessions: count() }
  },
})
