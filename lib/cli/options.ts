import { InvalidArgumentError, Option, type Command } from 'commander'
import { tokenKinds } from '../token/tokens.js'
import type { Surroundings } from './terminal.js'

/** What each command takes. */
export interface CommonOptions {
  readonly redis: string
  readonly cluster?: true
  readonly prefix: string
  readonly timeout: number
  readonly tokenKind: keyof typeof tokenKinds
  readonly json?: true
}

/** What names one session, or the sessions of somebody. */
export interface SecretOptions {
  readonly secretEnv?: readonly string[]
}

/** The longest time that a timer of JavaScript can wait, in milliseconds. */
const maxTimeout = 2_147_483_647

export function commonOptions (command: Command): Command {
  return command
    .addOption(new Option('--redis <url>', 'the Redis: redis:// or rediss://').env('REDIS_URL').default('redis://127.0.0.1:6379'))
    .option('--cluster', 'the Redis is a node of a cluster')
    .option('--prefix <text>', "what the store's keys begin with", 'session:')
    .option('--timeout <milliseconds>', 'how long one call to Redis may take', milliseconds, 5000)
    .addOption(new Option('--token-kind <kind>', 'the form of the tokens').choices(Object.keys(tokenKinds)).default('random256'))
    .option('--json', 'print JSON, one object a line')
}

export function secretOption (command: Command): Command {
  return command.option('--secret-env <variable>',
    "the environment variable that has the app's secret, for --name; again for each older one", (variable: string, others: string[] = []) => [...others, variable])
}

/** The URL of the Redis. What is wrong with it is told without it: it may have a password. */
export function urlOf (command: Command, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^rediss?:$/.test(url.protocol) && url.hostname !== '') return url
  return command.error('error: --redis (or REDIS_URL) must be a URL such as redis://127.0.0.1:6379')
}

/** The app's secrets, the newest first; `undefined` if none is named. */
export function secretsOf (command: Command, { env }: Surroundings, { secretEnv = [] }: SecretOptions): string[] | undefined {
  const secrets = secretEnv.map((variable) => {
    const secret = env[variable]
    return secret === undefined || secret === '' ? command.error(`error: --secret-env: there is no environment variable ${JSON.stringify(variable)}`) : secret
  })
  return secrets.length === 0 ? undefined : secrets
}

function milliseconds (text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= maxTimeout) return value
  throw new InvalidArgumentError(`It must be a whole number of milliseconds from 1 to ${maxTimeout}.`)
}
