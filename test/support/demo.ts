import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))

export interface Demo {
  /** The next line of the standard output; `undefined` at its end. */
  line (): Promise<string | undefined>
  signal (name: NodeJS.Signals): void
  /** Resolves at the end of the process; `errors` is its standard error. */
  readonly over: Promise<{ code: number | null, errors: string }>
}

/** `npm run demo -- …`, on a free port. */
export function runDemo (t: Test, args: string[], env: NodeJS.ProcessEnv): Demo {
  return demoOf(t, process.execPath, ['examples/demo.js', ...args], env)
}

/** The same by npm itself. */
export function runDemoByNpm (t: Test, args: string[], env: NodeJS.ProcessEnv): Demo {
  return demoOf(t, 'npm', ['run', '--silent', 'demo', '--', ...args], env)
}

function demoOf (t: Test, command: string, args: string[], env: NodeJS.ProcessEnv): Demo {
  const { PATH, HOME } = process.env
  const child = spawn(command, args, {
    cwd: root, env: { PATH, HOME, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => { errors += text })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return {
    line: async () => (await lines.next()).value as string | undefined,
    signal: (name) => child.kill(name),
    over: once(child, 'close').then(([code]) => ({ code: code as number | null, errors })),
  }
}

/** Starts an example and gives its address. */
export async function startDemo (t: Test, name: string, env: NodeJS.ProcessEnv): Promise<string> {
  const demo = runDemo(t, [name], env)
  const line = await demo.line()
  if (line === undefined) throw new Error(`the example ${name} did not start: ${(await demo.over).errors}`)
  return line.slice(line.lastIndexOf('http'))
}
