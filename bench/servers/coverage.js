import { readFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { fileURLToPath } from 'node:url'

const ours = /\/dist\/cjs\//

/** Names the file of lib/ that an offset of a built file comes from: it stands before its code. */
function sourceFiles (url) {
  const starts = [...readFileSync(fileURLToPath(url), 'utf8').matchAll(/^\/\/ (\S+\.ts)$/gm)]
  return (offset) => starts.findLast(({ index }) => index <= offset)?.[1] ?? url
}

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
        if (url.includes('/node_modules/') || !ours.test(url)) return []
        const fileAt = sourceFiles(url)
        return functions
          .map(({ functionName, ranges: [{ count, startOffset }] }) => ({ file: fileAt(startOffset), name: functionName || `(at ${startOffset})`, calls: count, startOffset }))
          .filter(({ calls, startOffset, name }) => calls > 0 && (startOffset > 0 || !name.startsWith('(at')))
          .map(({ file, name, calls }) => ({ file, name, calls }))
      })
    },
  }
}
