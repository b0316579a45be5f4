/** Prints where the profiles that `--profile` wrote spent their time: `node profile.js <file.cpuprofile> …`. */
import { readFileSync } from 'node:fs'

const shown = 25

for (const file of process.argv.slice(2)) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'))
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const self = new Map()
  samples.forEach((id, i) => {
    const name = frames.get(id)
    if (name !== '(idle)') self.set(name, (self.get(name) ?? 0) + timeDeltas[i])
  })
  const busy = [...self.values()].reduce((sum, time) => sum + time, 0)
  console.log(`${file}: ${(busy / 1e6).toFixed(1)} s busy`)
  for (const [name, time] of [...self].sort((a, b) => b[1] - a[1]).slice(0, shown)) {
    console.log(`${(time / busy * 100).toFixed(1).padStart(6)} %  ${name}`)
  }
}

/** @param {{ functionName: string, url: string, lineNumber: number }} frame */
function nameOf ({ functionName, url, lineNumber }) {
  const name = functionName || '(anonymous)'
  return url ? `${name}  ${url.split(/\/node_modules\/|\/(?=dist\/|servers\/)/).at(-1)}:${lineNumber + 1}` : name
}
