import type { Command } from 'commander'
import { StoreUnsupportedError } from '../errors.js'
import { ioredisServer } from '../stores/redis/clients/ioredis.js'
import { causeCode } from '../stores/redis/commands.js'
import { countByPrefix } from '../stores/redis/listing.js'
import { script } from '../stores/redis/script.js'
import { oldestServer, type ServerInfo } from '../stores/redis/servers.js'
import { withSessions, type Sessions } from './connection.js'
import { addCommonOptions, type AddCommand, type CommonOptions } from './options.js'
import { describePrefixes, toJsonLine, toPlainLine, writeLines } from './output.js'
import { exitCodes } from './terminal.js'

/** The result of one check. */
interface Finding {
  readonly check: string
  readonly ok: boolean
  readonly detail: string
}

/** Maximum difference of the clocks in milliseconds: `maxAge` and the reported times follow the app's clock. */
const maxSkew = 5000

export const addDoctorCommand: AddCommand = (program, terminal, exit) => {
  addCommonOptions(program.command('doctor'))
    .description('Checks this Redis and its user for the store, and counts the sessions of each prefix.')
    .action(async (options: CommonOptions, command: Command) => {
      exit(await withSessions(command, terminal, options, async (sessions) => {
        const findings: Finding[] = []
        async function * lines (): AsyncGenerator<string, undefined> {
          for await (const finding of examine(sessions, options)) {
            findings.push(finding)
            yield options.json ? toJsonLine(finding) : `${finding.ok ? 'ok   ' : 'WRONG'}  ${finding.check.padEnd(8)}  ${toPlainLine(finding.detail)}`
          }
        }
        await writeLines(terminal, lines())
        return findings.every(({ ok }) => ok) ? exitCodes.ok : exitCodes.failed
      }))
    })
}

async function * examine ({ commands, servers }: Sessions, { prefix, cluster }: CommonOptions): AsyncGenerator<Finding, undefined> {
  yield * await accessOf(commands, prefix)
  yield { check: 'cluster', ok: true, detail: cluster ? `${servers().length} masters` : 'no' }
  for (const server of servers()) {
    yield * await unlessDenied('info', ['server', 'memory'], async () => {
      const info = await commands.info(ioredisServer(server))
      return [versionOf(server, info), memoryOf(info)]
    })
    yield * await unlessDenied('time', ['clock'], async () => {
      const before = Date.now()
      const [seconds, microseconds] = await commands.waitFor(server.time(), 'read')
      return [clockOf(Number(seconds) * 1000 + Number(microseconds) / 1000, before, Date.now())]
    })
  }
  yield * await unlessDenied('scan', ['sessions'], async () => {
    const counts = await countByPrefix(commands, prefix)
    return [{ check: 'sessions', ok: true, detail: counts.size === 0 ? 'none, under any prefix' : describePrefixes(counts) }]
  })
}

/** If the user lacks a command that only `doctor` needs, the check is unknown, and not wrong. */
async function unlessDenied (command: string, checks: readonly string[], look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look()
  } catch (error) {
    if (causeCode(error) !== 'NOPERM') throw error
    return checks.map((check) => ({ check, ok: true, detail: `not known: this user may not run ${command}` }))
  }
}

function versionOf ({ options: { host, port, path } }: ReturnType<Sessions['servers']>[number], { name, version = 'of unknown version', isTooOld }: ServerInfo): Finding {
  return { check: 'server', ok: !isTooOld, detail: `${name} ${version} at ${path ?? `${host}:${port}`}${isTooOld ? `: the store needs version ${oldestServer} or newer` : ''}` }
}

function memoryOf ({ maxMemory, policy = 'maxmemory-policy unknown', evicts }: ServerInfo): Finding {
  const limit = maxMemory === undefined ? 'maxmemory unknown' : maxMemory === 0 ? 'no maxmemory' : `maxmemory ${maxMemory} bytes`
  return { check: 'memory', ok: evicts !== true, detail: `${limit}, ${policy}${evicts ? ': a full Redis drops sessions; noeviction refuses new ones' : ''}` }
}

function clockOf (theirs: number, before: number, after: number): Finding {
  const ahead = Math.round(theirs < before ? theirs - before : theirs > after ? theirs - after : 0)
  const ok = Math.abs(ahead) <= maxSkew
  return { check: 'clock', ok, detail: `${Math.abs(ahead)} milliseconds ${ahead < 0 ? 'behind' : 'ahead of'} this machine${ok ? '' : ': reported times and maxAge are wrong'}` }
}

/** The store's commands, each with arguments of its kind; `*` stands for a key. */
const neededCommands = [
  'EVALSHA x 0', 'EVAL x 0', 'HGETALL *', 'HGET * f', 'HSET * f v', 'HDEL * f', 'HKEYS *', 'HLEN *', 'EXISTS *', 'UNLINK *', 'RENAME * *', 'PEXPIRE * 1', 'PEXPIREAT * 1', 'PERSIST *',
  'PTTL *', 'TIME', 'SCAN 0', 'ZADD * 0 m', 'ZREM * m', 'ZSCAN * 0', 'ZRANGE * 0 0', 'ZREMRANGEBYSCORE * 0 0', 'PUBLISH * m', 'SUBSCRIBE *', 'UNSUBSCRIBE *',
]

/** The commands that `cached()` also needs. */
const cacheCommands = ['CLIENT ID', 'CLIENT TRACKING ON', 'PING', 'SUBSCRIBE __redis__:invalidate']

/** Returns the commands, each as JSON, that this user may not run. It gets no key: a user without rights to the key could not run it. */
const accessScript = script('no-writes', `
local denied = {}
for i = 1, #ARGV do
  local command = cjson.decode(ARGV[i])
  if not redis.acl_check_cmd(unpack(command)) then denied[#denied + 1] = ARGV[i] end
end
return denied
`, (commands: string[][]) => commands.map((command) => JSON.stringify(command)), (denied: string[]) => denied.map((text) => JSON.parse(text) as string[]))

/** Finds the commands that this user may not run. Without EVAL nothing more can be checked. */
async function accessOf (commands: Sessions['commands'], prefix: string): Promise<Finding[]> {
  const key = `${prefix}{doctor}`
  const denied = (list: readonly string[]): Promise<string[][]> =>
    commands.runScript(accessScript, [], list.map((command) => command.split(' ').map((word) => word === '*' ? key : word)))
  const finding = (ok: boolean, detail: string): Finding => ({ check: 'access', ok, detail })
  try {
    const needed = (await denied(neededCommands)).map(([command]) => command)
    const cache = (await denied(cacheCommands)).map(([command, ...rest]) => command === 'CLIENT' ? `client|${rest[0]}` : command === 'SUBSCRIBE' ? 'the channel __redis__:invalidate' : command)
    return [
      needed.length === 0 ? finding(true, 'this user may run what the store needs') : finding(false, `this user may not run: ${needed.join(' ').toLowerCase()}`),
      { check: 'cache', ok: true, detail: cache.length === 0 ? 'this user may use cached()' : `not with this user, who may not use: ${cache.join(' ').toLowerCase()}` },
    ]
  } catch (error) {
    if (error instanceof StoreUnsupportedError) return [finding(false, 'not known: the server cannot run the scripts')]
    if (causeCode(error) !== 'NOPERM') throw error
    return [finding(false, 'this user may not run: evalsha eval (and perhaps others)')]
  }
}
