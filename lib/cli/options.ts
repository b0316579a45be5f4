import { InvalidArgumentError, Option, type Command } from 'commander'
import type { SessionAddress } from '../token/manage/address.js'
import { isId, tokenKinds } from '../token/tokens.js'
import { confirm, isInteractive, readToken, type ExitCode, type Terminal } from './terminal.js'

/** Adds a command to the program. Its action passes its exit code to `exit`. */
export type AddCommand = (program: Command, terminal: Terminal, exit: (code: ExitCode) => void) => void

/** Options of every command. */
export interface CommonOptions {
  readonly redis: string
  readonly cluster?: true
  readonly sentinel?: readonly HostAndPort[]
  readonly master?: string
  readonly prefix: string
  /** Milliseconds. */
  readonly timeout: number
  readonly tokenKind: keyof typeof tokenKinds
  readonly json?: true
}

interface HostAndPort {
  readonly host: string
  readonly port: number
}

/** Options that name one session. */
export interface AddressOptions {
  readonly id?: string
  readonly name?: string
  /** Environment variables that hold the app's secrets, the newest first. */
  readonly secretEnv?: readonly string[]
}

/** Options of commands that destroy sessions. */
export interface ConfirmOptions {
  readonly yes?: true
}

/** Longest delay of a JavaScript timer, in milliseconds. */
const maxTimeout = 2_147_483_647

export function addCommonOptions (command: Command): Command {
  return command
    .addOption(new Option('--redis <url>', 'the address of the Redis: redis://, rediss:// or redis+unix://').env('REDIS_URL').default('redis://127.0.0.1:6379'))
    .option('--cluster', 'the Redis is a node of a cluster')
    .option('--sentinel <host:port,…>', 'sentinels that know the address; user, password and database are taken from --redis', parseSentinels)
    .option('--master <name>', 'the name of the master at the sentinels')
    .option('--prefix <text>', "the prefix of the store's keys", 'session:')
    .option('--timeout <milliseconds>', 'the deadline of a call to Redis', parseMilliseconds, 5000)
    .addOption(new Option('--token-kind <kind>', 'the form of the tokens').choices(Object.keys(tokenKinds)).default('random256'))
    .option('--json', 'print JSON, one object per line')
}

/** Adds the address options. A token is read from standard input, since `ps` and the shell's history show command lines. */
export function addAddressOptions (command: Command): Command {
  return command
    .argument('[token]', '- for a token from standard input')
    .option('--id <id>', 'the session with this id, as list prints it')
    .option('--name <name>', 'the shared session of this name; needs --secret-env')
    .option('--secret-env <variable>',
      "the environment variable that has the app's secret, for --name; again for each older one", (variable: string, others: string[] = []) => [...others, variable])
}

export function addConfirmOption (command: Command): Command {
  return command.option('-y, --yes', 'do not ask for confirmation')
}

/** Returns the session that the command line names, or `undefined` when it names none. A wrong name ends the command. */
export async function readAddress (
  command: Command, terminal: Terminal, token: string | undefined, { id, name, secretEnv, tokenKind }: AddressOptions & CommonOptions
): Promise<SessionAddress | undefined> {
  if ([token, id, name].filter((given) => given !== undefined).length > 1) command.error('error: name one session: by -, --id or --name')
  if (id !== undefined) {
    return isId(id) ? { id } : command.error('error: --id must be an id as list prints it: 43 characters')
  }
  if (name !== undefined) {
    return secretEnv === undefined ? command.error('error: --name needs --secret-env: the token of a shared session is derived from the secret') : { name }
  }
  if (token === undefined) return undefined
  if (token !== '-') command.error('error: a token must not be on the command line, where other users see it: write - and pass it on standard input, or use --id')
  const read = await readToken(terminal)
  return tokenKinds[tokenKind].valid(read) ? { token: read } : command.error(`error: standard input has no token of the kind ${tokenKind}`)
}

/** Returns true when the operator agrees, by `--yes` or when asked. Without a terminal, `--yes` is required. */
export async function confirmed (command: Command, terminal: Terminal, { yes }: ConfirmOptions, question: string): Promise<boolean> {
  if (yes) return true
  if (!isInteractive(terminal)) command.error(`error: ${command.name()} destroys sessions: without a terminal it needs --yes`)
  return confirm(terminal, question)
}

/** The place of the sessions, as the command line names it. */
export interface RedisAddress {
  /** For questions and messages, without user and password. */
  readonly label: string
  readonly host: string
  readonly port: number
  /** A Unix socket, in place of host and port. */
  readonly path: string | undefined
  readonly database: number
  readonly tls: boolean
  readonly username: string
  readonly password: string
  /** The version of the Internet Protocol; 0: any. */
  readonly family: number
}

/** Reads the address of the Redis. An error does not repeat the URL, which may have a password. */
export function readRedisAddress (command: Command, { redis, cluster, sentinel, master }: CommonOptions): RedisAddress {
  const fail = (problem: string): never => command.error(`error: --redis (or REDIS_URL) ${problem}`)
  const url = URL.canParse(redis) ? new URL(redis) : undefined
  const isSocket = /^(?:redis\+)?unix:$/.test(url?.protocol ?? '')
  if (url === undefined || !(isSocket ? url.pathname.length > 1 : /^rediss?:$/.test(url.protocol) && url.hostname !== '')) {
    return fail('must be a URL such as redis://127.0.0.1:6379 or redis+unix:///run/redis.sock')
  }
  const { hostname, port, pathname, searchParams } = url
  if ([...searchParams.keys()].some((name) => name !== 'db' && name !== 'family')) return fail('has an unknown parameter: db and family are known')
  const family = searchParams.get('family') ?? '0'
  if (!/^[046]$/.test(family)) return fail('has a wrong family: allowed are 4, 6, and 0 for both')
  const database = (isSocket ? '' : pathname.slice(1)) || searchParams.get('db') || '0'
  if (!/^\d{1,9}$/.test(database)) return fail('must name a database by its number, as in redis://127.0.0.1:6379/2 or redis+unix:///run/redis.sock?db=2')
  if (cluster && Number(database) > 0) return fail('names a database, but a cluster only has database 0')
  if (cluster && (isSocket || sentinel !== undefined)) return command.error('error: --cluster takes the URL of a node, without a socket or --sentinel')
  if ((sentinel === undefined) !== (master === undefined)) return command.error('error: --sentinel and --master belong together')
  try {
    const path = isSocket ? decodeURIComponent(pathname) : undefined
    const place = master === undefined ? path ?? url.host : `the master ${JSON.stringify(master)}`
    return {
      label: Number(database) === 0 ? place : `${place}/${database}`,
      host: hostname.replace(/^\[|\]$/g, ''), // a socket takes an IPv6 address without brackets
      port: Number(port || 6379),
      path,
      database: Number(database),
      tls: url.protocol === 'rediss:',
      username: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      family: Number(family),
    }
  } catch {
    return fail('has credentials or a path that are not percent-encoded')
  }
}

/** Reads the app's secrets from the environment, the newest first; `undefined` without `--secret-env`. */
export function readSecrets (command: Command, { env }: Terminal, { secretEnv = [] }: AddressOptions): string[] | undefined {
  const secrets = secretEnv.map((variable) => {
    const secret = env[variable]
    return secret === undefined || secret === '' ? command.error(`error: --secret-env: there is no environment variable ${JSON.stringify(variable)}`) : secret
  })
  return secrets.length === 0 ? undefined : secrets
}

function parseMilliseconds (text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= maxTimeout) return value
  throw new InvalidArgumentError(`It must be a whole number of milliseconds from 1 to ${maxTimeout}.`)
}

function parseSentinels (text: string): HostAndPort[] {
  return text.split(',').map((address) => {
    const [, bracketed, host = bracketed, port = '26379'] = /^(?:\[([\da-f:.]+)\]|([^:[\]\s/@]+))(?::(\d{1,5}))?$/i.exec(address) ?? []
    if (host === undefined) throw new InvalidArgumentError('It must be a list such as 10.0.0.1:26379,10.0.0.2:26379.')
    return { host, port: Number(port) }
  })
}
