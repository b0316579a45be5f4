import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

/** Starts an example in a process of its own, as `npm run demo -- <name>` does, and gives its address. */
export async function startDemo (t: Test, name: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, ['--import', 'tsx', 'examples/run.ts', name], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)), env: { PATH, HOME, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), once(child, 'close')]) as [string | number | null]
  if (typeof line !== 'string') throw new Error(`the example ${name} did not start`)
  return line.slice(line.lastIndexOf('http'))
}
