import { spawn } from 'node:child_process'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { run } from '../../lib/cli/program.js'

const main = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url))

/** Result of a run of the operator's command. */
export interface Run {
  /** `null` when the process hung and was killed. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Record<string, string>
  readonly stdin?: string
  /** Output of `runProcess` that nobody reads: its pipe is closed. */
  readonly unread?: 'stdout' | 'stderr'
  /** Signal for `runProcess`, and the moment to send it. */
  readonly interrupt?: { readonly signal: NodeJS.Signals, readonly when: Promise<unknown> }
}

/** Runs the operator's command in this process, without a terminal. */
export async function runCommand (args: readonly string[], { env = {}, stdin = '' }: RunOptions = {}): Promise<Run> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const texts = Promise.all([text(stdout), text(stderr)])
  const code = await run(args, { stdin: Readable.from(stdin === '' ? [] : [Buffer.from(stdin)]), stdout, stderr, env })
  stdout.end()
  stderr.end()
  const [out, err] = await texts
  return { code, stdout: out, stderr: err }
}

/** Runs the operator's command as a process, without a terminal. The process has to end by itself. */
export async function runProcess (args: readonly string[], { env = {}, stdin = '', unread, interrupt }: RunOptions = {}): Promise<Run> {
  const { REDIS_URL, ...inherited } = process.env
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], { env: { ...inherited, ...env }, timeout: 25_000, killSignal: 'SIGKILL' })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (chunk: string) => { output[name] += chunk })
  if (unread !== undefined) child[unread].destroy()
  // The process may end without reading its input: EPIPE.
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
  interrupt?.when.then(() => child.kill(interrupt.signal))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, ...output }
}
