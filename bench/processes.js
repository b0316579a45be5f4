import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'

const has = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0

/** Servers run on core 0; the load generator and databases on core 1. */
export const pinned = process.platform === 'linux' && has('taskset')
export { has }

const running = new Set()
process.once('exit', () => { for (const child of running) child.kill('SIGKILL') })
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

/**
 * Starts a process on one core. Whatever happens, it does not outlive this one.
 * @param {0 | 1} core
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 */
export function startOn (core, command, args, options) {
  const child = pinned
    ? spawn('taskset', ['-c', String(core), command, ...args], options)
    : spawn(command, args, options)
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** @param {import('node:child_process').ChildProcess} child */
export async function stop (child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await gone
  clearTimeout(force)
}

let profiles = 0

/**
 * A contestant in `servers/`, as a process of its own.
 * @param {string} file its name in `servers/`, without the ending
 * @param {{ args?: string[], nodeArgs?: string[], profileDir?: string | undefined, core?: 0 | 1 }} [options]
 */
export async function startServer (file, { args = [], nodeArgs = [], profileDir, core = 0 } = {}) {
  const path = fileURLToPath(new URL(`servers/${file}.js`, import.meta.url))
  const profiling = profileDir
    ? ['--cpu-prof', `--cpu-prof-dir=${profileDir}`, `--cpu-prof-name=${++profiles}-${[file, ...args].join('-').replace(/[^\w.-]+/g, '_')}.cpuprofile`]
    : []
  const child = startOn(core, process.execPath, ['--expose-gc', ...nodeArgs, ...profiling, path, ...args], {
    stdio: ['ignore', 2, 2, 'ipc'],
    env: { ...process.env, NODE_ENV: 'bench' },
  })
  const waiting = new Map()
  let calls = 0
  const died = once(child, 'exit').then(([code, signal]) => {
    const error = new Error(`the server ${file} ${args.join(' ')} ended early (${signal ?? code})`)
    for (const { reject } of waiting.values()) reject(error)
    throw error
  })
  died.catch(() => {})
  child.on('message', ({ call, result, error }) => {
    const { resolve, reject } = waiting.get(call) ?? {}
    waiting.delete(call)
    if (error) reject?.(new Error(`${file}: ${error}`))
    else resolve?.(result)
  })
  const [{ port }] = await Promise.race([once(child, 'message'), died])
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    /** Runs one of the server's commands, which are the second argument of `serve`. */
    call: (command, ...params) => new Promise((resolve, reject) => {
      waiting.set(++calls, { resolve, reject })
      child.send({ call: calls, command, params })
    }),
    stop: () => stop(child),
  }
}

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** An empty Redis without persistence on a free port of the loopback. */
export async function startRedis () {
  if (!has('redis-server')) throw new Error('redis-server is not on the PATH (Debian: apt-get install redis-server)')
  const port = await freePort()
  const child = startOn(1, 'redis-server', [
    '--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', tmpdir(),
  ], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => { if (String(chunk).includes('Ready to accept')) resolve() })
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)))
  })
  return { port, stop: () => stop(child) }
}

/** The real Neo4j of the tests. */
export async function startNeo4j () {
  const child = startOn(1, process.execPath, ['--import', 'tsx', fileURLToPath(new URL('neo4j.js', import.meta.url))], {
    stdio: ['ignore', 2, 2, 'ipc'],
  })
  const died = once(child, 'exit').then(() => { throw new Error('Neo4j did not start; or give the URL of one in NEO4J_URL') })
  died.catch(() => {})
  const [{ url }] = await Promise.race([once(child, 'message'), died])
  return { url, stop: () => stop(child) }
}

export function redisVersion () {
  return /v=([\d.]+)/.exec(spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1]
}
