import { InvalidArgumentError, Option, type Command } from 'commander'
import type { SessionAddress } from '../token/token-sessions.js'
import { tokenKinds } from '../token/tokens.js'
import { confirm, isInteractive, readToken, type ExitCode, type Terminal } from './terminal.js'

/** Adds a command to the program. Its action passes its exit code to `exit`. */
export type AddCommand = (program: Command, terminal: Terminal, exit: (code: ExitCode) => void) => void

/** Options of every command. */
export interface CommonOptions {
  readonly redis: string
  readonly cluster?: true
  readonly prefix: string
  /** Milliseconds. */
  readonly timeout: number
  readonly tokenKind: keyof typeof tokenKinds
  readonly json?: true
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
    .addOption(new Option('--redis <url>', 'the Redis: redis:// or rediss://').env('REDIS_URL').default('redis://127.0.0.1:6379'))
    .option('--cluster', 'the Redis is a node of a cluster')
    .option('--prefix <text>', "what the store's keys begin with", 'session:')
    .option('--timeout <milliseconds>', 'how long one call to Redis may take', parseMilliseconds, 5000)
    .addOption(new Option('--token-kind <kind>', 'the form of the tokens').choices(Object.keys(tokenKinds)).default('random256'))
    .option('--json', 'print JSON, one object a line')
}

/** Adds what names one session. A token comes on standard input, since `ps` and the shell's history show a command line. */
export function addAddressOptions (command: Command): Command {
  return command
    .argument('[token]', '- for a token from standard input')
    .option('--id <id>', 'the session that list says it of')
    .option('--name <name>', 'the shared session of this name; needs --secret-env')
    .option('--secret-env <variable>',
      "the environment variable that has the app's secret, for --name; again for each older one", (variable: string, others: string[] = []) => [...others, variable])
}

export function addConfirmOption (command: Command): Command {
  return command.option('-y, --yes', 'do not ask whether it is meant')
}

/** Returns the session that the command line names, or `undefined` when it names none. A wrong name ends the command. */
export async function readAddress (
  command: Command, terminal: Terminal, token: string | undefined, { id, name, secretEnv, tokenKind }: AddressOptions & CommonOptions
): Promise<SessionAddress | undefined> {
  if ([token, id, name].filter((given) => given !== undefined).length > 1) command.error('error: name one session: by -, --id or --name')
  if (id !== undefined) {
    return /^[\w-]{43}$/.test(id) ? { id } : command.error('error: --id must be an id as list tells it: 43 characters')
  }
  if (name !== undefined) {
    return secretEnv === undefined ? command.error('error: --name needs --secret-env: the token of a shared session follows from the secret') : { name }
  }
  if (token === undefined) return undefined
  if (token !== '-') command.error('error: a token must not be on the command line, where others see it: write - and give it on standard input, or name an id with --id')
  const read = await readToken(terminal)
  return tokenKinds[tokenKind].valid(read) ? { token: read } : command.error(`error: standard input has no token of the kind ${tokenKind}`)
}

/** Returns true when the operator agrees, by `--yes` or when asked. Without a terminal, `--yes` is required. */
export async function confirmed (command: Command, terminal: Terminal, { yes }: ConfirmOptions, question: string): Promise<boolean> {
  if (yes) return true
  if (!isInteractive(terminal)) command.error(`error: ${command.name()} destroys sessions: without a terminal to ask at, it needs --yes`)
  return confirm(terminal, question)
}

/** Parses the URL of the Redis. The error does not repeat the URL, which may have a password. */
export function parseRedisUrl (command: Command, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^rediss?:$/.test(url.protocol) && url.hostname !== '') return url
  return command.error('error: --redis (or REDIS_URL) must be a URL such as redis://127.0.0.1:6379')
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
