import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './free-port.js'

/** A server that a test talks to: one of its own, or one that the environment names. */
export interface Server {
  readonly url: string
  /** Ends it for good. Does nothing to a server that the environment names. */
  stop (): Promise<void>
}

/** How a server is started: what its starter (`redis.ts`, …) knows and this file does not. */
export interface Launch {
  /** For messages. */
  readonly name: string
  readonly file: string
  /** @param folder the server's own folder, empty at the first start and removed by `stop` */
  readonly args: (port: number, folder: string) => readonly string[]
  readonly url: (port: number) => string
  /** Found in its output once it answers. */
  readonly ready: RegExp
  /** Milliseconds that a start may take. @default 30_000 */
  readonly startWithin?: number
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

const CONFLICT = /address (is )?already in use|bind(ing)? .*failed|BindException/i
const TRIES = 5
const LINES_KEPT = 40

/**
 * A server that this process started and alone may end. It ends with this process too, however that ends. It never
 * keeps this process alive.
 */
export class OwnServer implements Server {
  readonly port: number
  readonly url: string
  readonly #launch: Launch
  readonly #folder: string
  #child: ChildProcess | undefined

  private constructor (launch: Launch, port: number, folder: string) {
    this.#launch = launch
    this.#folder = folder
    this.port = port
    this.url = launch.url(port)
  }

  /** Starts a server on a free port and resolves when it answers. */
  static async start (launch: Launch): Promise<OwnServer> {
    for (let tries = 1; ; tries++) {
      const folder = await mkdtemp(join(tmpdir(), 'fastify-request-session-'))
      const server = new OwnServer(launch, await freePort(), folder)
      try {
        await server.#run()
        return server
      } catch (error) {
        await server.stop()
        if (!(error instanceof PortTaken) || tries === TRIES) throw error
      }
    }
  }

  /** The process id; throws while the server is down. */
  get pid (): number {
    return this.#running().pid!
  }

  /** Ends it at once (SIGKILL) and keeps its data and its port for `restart`. Resolves when it is gone. */
  async kill (): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    child.kill('SIGKILL')
    await gone(child, this.#launch.name)
  }

  /** Starts it again on the same port and the same data, after a `kill` if it still runs. */
  async restart (): Promise<void> {
    await this.kill()
    for (let tries = 1; ; tries++) {
      try {
        return await this.#run()
      } catch (error) {
        await this.kill()
        if (!(error instanceof PortTaken) || tries === TRIES) throw error
        await delay(500)
      }
    }
  }

  /** SIGSTOP: it still accepts connections (the kernel does) and never answers. */
  pause (): void {
    this.#running().kill('SIGSTOP')
  }

  /** SIGCONT: it goes on where `pause` stopped it. */
  resume (): void {
    this.#running().kill('SIGCONT')
  }

  /** Ends it for good, with SIGKILL, since its data go with it. May be called twice. */
  async stop (): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 })
  }

  #running (): ChildProcess {
    if (this.#child === undefined) throw new Error(`${this.#launch.name} is not running`)
    return this.#child
  }

  async #run (): Promise<void> {
    const { name, file, args, cwd, env, ready, startWithin = 30_000 } = this.#launch
    const child = spawn(file, args(this.port, this.#folder), { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    if (child.pid !== undefined) guard(child, this.#folder)

    const lines: string[] = []
    let timer: NodeJS.Timeout | undefined
    const outcome = await new Promise<'ready' | 'taken' | 'ended' | 'late'>((resolve) => {
      for (const stream of [child.stdout!, child.stderr!]) {
        let rest = ''
        stream.setEncoding('utf8').on('data', (chunk: string) => {
          const parts = (rest + chunk).split('\n')
          rest = parts.pop()!
          lines.push(...parts)
          lines.splice(0, lines.length - LINES_KEPT)
          if (parts.some((line) => ready.test(line))) resolve('ready')
          else if (parts.some((line) => CONFLICT.test(line))) resolve('taken')
        })
      }
      child.once('error', (error) => {
        lines.push(error.message)
        resolve('ended')
      })
      // 'close' and not 'exit': by then all of its output is read, which may name a taken port.
      child.once('close', () => { resolve('ended') })
      timer = setTimeout(resolve, startWithin, 'late')
    })
    clearTimeout(timer)
    unref(child)

    if (outcome === 'ready') return
    if (outcome === 'taken') throw new PortTaken(`${name}: port ${this.port} is taken`)
    const what = outcome === 'late'
      ? `did not get ready within ${startWithin} ms`
      : `ended while it started (${child.signalCode ?? `exit code ${child.exitCode}`})`
    throw new Error(`${name} ${what}. Its last output:\n${lines.join('\n') || '(none)'}`)
  }
}

class PortTaken extends Error {}

/**
 * A shell that waits for this process to end, in whatever way (its end of the pipe closes), and then kills the server
 * and removes its folder. Without it a server would outlive a test that tap killed for taking too long.
 */
function guard (child: ChildProcess, folder: string): void {
  const script = 'trap "" INT TERM HUP; read -r _; kill -KILL "$1" && sleep 0.5; rm -rf "$2"'
  const shell = spawn('/bin/sh', ['-c', script, 'guard', String(child.pid), folder], { stdio: ['pipe', 'ignore', 'ignore'] })
  shell.stdin.on('error', () => {})
  unref(shell)
  // From then on the process id may belong to another.
  child.once('exit', () => { shell.kill('SIGKILL') })
}

/** Node may exit while the child still runs. */
function unref (child: ChildProcess): void {
  child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as Socket | null)?.unref()
}

async function gone (child: ChildProcess, name: string): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  // The timer is what keeps this process alive meanwhile: the child is unref'd.
  const controller = new AbortController()
  const late = delay(10_000, 'late', { signal: controller.signal }).catch(() => 'gone')
  const outcome = await Promise.race([once(child, 'exit'), late])
  controller.abort()
  if (outcome === 'late') throw new Error(`${name} (process ${child.pid}) is still there 10 s after SIGKILL`)
}
