import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { has, startOn } from './processes.js'

export const generator = has('wrk') ? 'wrk' : 'autocannon'
const wrkScript = fileURLToPath(new URL('tokens.lua', import.meta.url))
const autocannon = fileURLToPath(new URL('autocannon.js', import.meta.url))

export function generatorVersion () {
  if (generator === 'wrk') return /wrk \S*?([\d.]+)/.exec(spawnSync('wrk', ['--version'], { encoding: 'utf8' }).stdout)?.[1]
  return JSON.parse(readFileSync(new URL('node_modules/autocannon/package.json', import.meta.url), 'utf8')).version
}

/**
 * One burst of load: GET requests over kept-alive connections, as fast as they are answered.
 * @param {{
 *   url: string,
 *   cookie?: string | undefined,
 *   cookieFile?: string | undefined,  a file with one cookie per line: each request takes the next one
 *   seconds: number,
 *   connections: number,
 * }} options
 * @returns {Promise<{ requests: number, rate: number }>} how many were answered, and how many per second
 */
export async function load (options, tries = 3) {
  const { ok, failed, seconds } = await (generator === 'wrk' ? wrk(options) : cannon(options))
  // A busy machine may not run the server at all for a second.
  if (ok + failed === 0 && tries > 1) return load(options, tries - 1)
  if (failed > 0 || ok === 0) throw new Error(`${failed} of ${ok + failed} requests to ${options.url} failed`)
  return { requests: ok, rate: ok / seconds }
}

async function wrk ({ url, cookie, cookieFile, seconds, connections }) {
  const out = await run('wrk', [
    '-t', '1', '-c', String(connections), '-d', '60s',
    ...(cookie ? ['-H', `cookie: ${cookie}`] : []),
    ...(cookieFile ? ['-s', wrkScript] : []),
    url,
    ...(cookieFile ? ['--', cookieFile] : []),
  ], seconds)
  if (out === '') return { ok: 0, failed: 0, seconds } // interrupted before the busy machine had it run at all
  const [, count, duration, unit] = /(\d+) requests in ([\d.]+)(ms|s|m)/.exec(out) ?? []
  if (!count) throw new Error(`wrk printed no result:\n${out}`)
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(out)?.[1] ?? 0)
  const broken = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(out)?.slice(1) ?? []
  const failed = broken.reduce((sum, n) => sum + Number(n), refused)
  return { ok: Number(count) - refused, failed, seconds: Number(duration) * { ms: 0.001, s: 1, m: 60 }[unit] }
}

async function cannon (options) {
  return JSON.parse(await run(process.execPath, [autocannon, JSON.stringify(options)]))
}

/**
 * Runs the load generator on its core and gives what it printed.
 * @param {string} command
 * @param {string[]} args
 * @param {number} [seconds] after which it is interrupted: wrk itself knows whole seconds only
 */
async function run (command, args, seconds) {
  const child = startOn(1, command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  if (seconds !== undefined) setTimeout(() => child.kill('SIGINT'), seconds * 1000)
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => { out += chunk })
  const [code, signal] = await once(child, 'close')
  if (code !== 0 && signal !== 'SIGINT') throw new Error(`${command} ended with ${code}:\n${out}`)
  return out
}
