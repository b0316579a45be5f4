import type { Command } from 'commander'
import { lookUp } from '../token/manage/list.js'
import type { SessionFilter } from '../token/manage/list.js'
import type { SessionAddress } from '../token/token-sessions.js'
import { addressOf, addressOptions, shown, type AddressOptions } from './address.js'
import { commonOptions, type CommonOptions } from './options.js'
import { json, plain, printed, tableHead, tableRow, writeLines, writeObject } from './output.js'
import { Progress } from './progress.js'
import type { AddCommands } from './program.js'
import { withSessions, type Sessions } from './sessions.js'
import { exitCodes, type ExitCode, type Surroundings } from './terminal.js'

/** The most ids of damaged sessions that are told. */
const maxDamaged = 5

interface ListOptions extends CommonOptions, SessionFilter {}
interface InfoOptions extends CommonOptions, AddressOptions {}

/** The commands that only look: `list` and `info`. */
export const addLookCommands: AddCommands = (program, surroundings, done) => {
  commonOptions(program.command('list'))
    .description('Tells what the sessions are, one a line: never their data or tokens.')
    .option('--subject <subject>', 'those that belong to somebody')
    .option('--name <name>', 'those of a name, shared or not')
    .action(async (options: ListOptions, command: Command) => {
      done(await withSessions(command, surroundings, options, async (sessions) => {
        const damaged: string[] = []
        await writeLines(surroundings, list(sessions, surroundings, options, damaged))
        return allRead(surroundings, damaged.length, damaged)
      }))
    })

  commonOptions(addressOptions(program.command('info')))
    .description('Tells what a session is, never its data or token; without one, the totals of all.')
    .action(async (token: string | undefined, options: InfoOptions, command: Command) => {
      const address = await addressOf(command, surroundings, token, options)
      done(await withSessions(command, surroundings, options, (sessions) =>
        address === undefined ? totals(sessions, surroundings, options) : info(sessions, surroundings, options, address)))
    })
}

async function * list ({ users }: Sessions, surroundings: Surroundings, { subject, name, json: asJson }: ListOptions, damaged: string[]): AsyncGenerator<string, undefined> {
  const progress = new Progress(surroundings, surroundings.stdout.isTTY !== true)
  const filter = { ...subject !== undefined && { subject }, ...name !== undefined && { name } }
  let count = 0
  try {
    for await (const info of users.list({ ...filter, onDamaged: (id) => { damaged.push(id) } })) {
      if (count++ === 0 && !asJson) yield tableHead
      yield asJson ? json(printed(info)) : tableRow(printed(info))
      progress.tell(`${count} sessions`)
    }
  } finally {
    progress.end()
  }
}

async function info ({ users, store }: Sessions, surroundings: Surroundings, options: InfoOptions, address: SessionAddress): Promise<ExitCode> {
  const info = await users.info(address)
  const summary = info && await lookUp(store, info.id)
  if (info === undefined || summary === undefined) return nothingFound(surroundings, address)
  // What the app says for all sessions is not stored with each, and so is not known here.
  await writeObject(surroundings, { ...printed(info), ttl: summary.ttl, maxAge: summary.maxAge }, options.json)
  return exitCodes.ok
}

async function totals ({ users }: Sessions, surroundings: Surroundings, options: InfoOptions): Promise<ExitCode> {
  const progress = new Progress(surroundings)
  try {
    const totals = await users.infoAll({ onProgress: ({ sessions }) => progress.tell(`${sessions} sessions`) })
    progress.end()
    await writeObject(surroundings, totals, options.json)
    return allRead(surroundings, totals.damaged)
  } finally {
    progress.end()
  }
}

/** What a listing ends with. Damaged sessions were left out: who is told of their ids can end them. */
function allRead ({ stderr }: Surroundings, damaged: number, ids: readonly string[] = []): ExitCode {
  if (damaged === 0) return exitCodes.ok
  const which = ids.length === 0 ? '' : `: ${ids.slice(0, maxDamaged).join(' ')}${ids.length > maxDamaged ? ' …' : ''}`
  stderr.write(`${plain(`error: FST_SESSION_RECORD: ${damaged} session(s) cannot be read, and were left out${which}`)}\n`)
  return exitCodes.failed
}

export function nothingFound ({ stderr }: Surroundings, address: SessionAddress): ExitCode {
  stderr.write(`${plain(`There is no session: ${shown(address)}`)}\n`)
  return exitCodes.nothingFound
}
