import { Session } from 'node:inspector/promises'

const ours = /\/dist\/(.+)$/

/** Commands that count which of the plugin's own functions run: V8's precise coverage. */
export const coverageCommands = () => {
  const inspector = new Session()
  return {
    async startCoverage () {
      inspector.connect()
      await inspector.post('Profiler.enable')
      await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
      await inspector.post('Profiler.takePreciseCoverage')
    },

    /** Each function that ran since the start, in order of the files, with its number of calls. */
    async takeCoverage () {
      const { result } = await inspector.post('Profiler.takePreciseCoverage')
      await inspector.post('Profiler.stopPreciseCoverage')
      inspector.disconnect()
      return result.flatMap(({ url, functions }) => {
        const file = url.includes('/node_modules/') ? undefined : ours.exec(url)?.[1]
        if (file === undefined) return []
        return functions
          .map(({ functionName, ranges: [{ count, startOffset }] }) => ({ file, name: functionName || `(at ${startOffset})`, calls: count, startOffset }))
          .filter(({ calls, startOffset, name }) => calls > 0 && (startOffset > 0 || !name.startsWith('(at')))
          .map(({ file, name, calls }) => ({ file, name, calls }))
      })
    },
  }
}
