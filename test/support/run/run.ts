/**
 * Runs tests: `tsx test/support/run/run.ts [--timeout SECONDS] [FILE|FOLDER …]`. Each file has a process of its own, and there is one
 * more of them at a time than there are processors. Without files these are all but the long ones, with one RavenDB and one Neo4j for
 * all: each test makes a database of its own in RavenDB, and has labels of its own in Neo4j.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { MissingServer } from '../servers/missing-server.js'
import { openNeo4j } from '../servers/neo4j.js'
import type { Server } from '../servers/own-server.js'
import { openRavenDB } from '../servers/ravendb.js'
import { compile, root } from './compile.js'
import { Report, type Ending } from './report.js'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { timeout: { type: 'string', default: '400' } } })
/** In milliseconds. A test reports its limit of time by itself; one that cannot is killed. */
const limit = (Number(values.timeout) + 5) * 1000

/** Those that take longest begin first. */
const order = ['examples', 'docs', 'ravendb', 'cli', 'neo4j', '.'].map((folder) => join('test', folder))

/** Folders that `npm run test:long` names. */
const long = /^test\/(failover|histories|races|versions)\//

const running = new Set<ChildProcess>()

/** The test files that an argument means. */
function filesIn (name: string): string[] {
  if (statSync(join(root, name)).isFile()) return [name]
  const files = readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).map((file) => join(name, file))
  return files.filter((file) => file.endsWith('.test.ts') && !file.includes('node_modules')).sort()
}

/** Runs a compiled test. @returns its TAP */
async function run (file: string): Promise<{ output: string, ending: Ending }> {
  const start = performance.now()
  const child = spawn(process.execPath, ['--enable-source-maps', file], {
    cwd: root, env: { ...process.env, TAP: '1', TAP_TIMEOUT: values.timeout }, stdio: ['ignore', 'pipe', 'inherit'], timeout: limit, killSignal: 'SIGKILL',
  })
  running.add(child)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
  const closed = once(child.stdout, 'close')
  const [code, signal] = await once(child, 'exit') as [number | null, NodeJS.Signals | null]
  running.delete(child)
  // A process that the test has left behind may hold the pipe.
  await Promise.race([closed, delay(5_000, undefined, { ref: false })])
  return { output, ending: { code, signal, time: performance.now() - start } }
}

/**
 * Starts a server for all of these tests, and names it to them by its environment variable; that which this one names already is used
 * as it is. Without the server on this machine the tests say so themselves.
 */
async function share (name: string, open: () => Promise<Server>): Promise<() => Promise<void>> {
  try {
    const server = await open()
    process.env[name] = server.url
    return () => server.stop()
  } catch (error) {
    if (error instanceof MissingServer) return async () => {}
    throw error
  }
}

const files = positionals.length > 0
  ? positionals.flatMap((name) => filesIn(relative(root, name)))
  : order.flatMap(filesIn).filter((file) => !long.test(file))
const queue = [...new Set(files)]
const folder = join(root, '.tap', `compiled-${process.pid}`)
process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const child of running) child.kill('SIGKILL')
    process.exit(1)
  })
}

await compile(queue, folder)
const stops = positionals.length > 0 ? [] : await Promise.all([share('RAVENDB_URL', openRavenDB), share('SHARED_NEO4J_URL', openNeo4j)])
const report = new Report((text) => { process.stdout.write(`${text}\n`) })
try {
  await Promise.all(Array.from({ length: availableParallelism() + 1 }, async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const { output, ending } = await run(join(folder, file.replace(/\.ts$/, '.js')))
      report.add(file, output, ending)
    }
  }))
} finally {
  await Promise.all(stops.map((stop) => stop()))
}
report.end()
process.exitCode = report.hasFailed ? 1 : 0
