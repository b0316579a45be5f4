import type { Command } from 'commander'
import { countByPrefix } from '../stores/redis/listing.js'
import type { SessionFilter } from '../token/manage/list.js'
import type { SessionAddress } from '../token/manage/address.js'
import { withSessions, type Sessions } from './connection.js'
import { addAddressOptions, addCommonOptions, readAddress, type AddCommand, type AddressOptions, type CommonOptions } from './options.js'
import { describePrefixes, reportDamaged, reportNotFound, tableHead, tableRow, toJsonLine, toPlainLine, toPrinted, writeLines, writeObject } from './output.js'
import { exitCodes, withProgress, type ExitCode, type Terminal } from './terminal.js'

interface ListOptions extends CommonOptions, SessionFilter {}

export const addListCommand: AddCommand = (program, terminal, exit) => {
  addCommonOptions(program.command('list'))
    .description('Prints the metadata of sessions, one per line, without data and tokens.')
    .option('--subject <subject>', 'the sessions of this subject')
    .option('--name <name>', 'the sessions of this name, shared or not')
    .action(async (options: ListOptions, command: Command) => {
      exit(await withSessions(command, terminal, options, async (sessions) => {
        const seen: Seen = { count: 0, damaged: [] }
        await withProgress(terminal, (report) => writeLines(terminal, formatLines(sessions, options, seen, report)),
          { visible: terminal.stdout.isTTY !== true })
        const isEmpty = seen.count + seen.damaged.length === 0
        if (isEmpty && options.subject === undefined && options.name === undefined) await reportOtherPrefixes(terminal, sessions, options)
        return reportDamaged(terminal, seen.damaged.length, seen.damaged)
      }))
    })
}

interface Seen {
  count: number
  /** Ids. */
  readonly damaged: string[]
}

/** Formats a line for each session. */
async function * formatLines (
  { users }: Sessions, { subject, name, json }: ListOptions, seen: Seen, report: (text: string) => void
): AsyncGenerator<string, undefined> {
  const filter = { ...subject !== undefined && { subject }, ...name !== undefined && { name } }
  for await (const info of users.list({ ...filter, onDamaged: (id) => { seen.damaged.push(id) } })) {
    if (seen.count++ === 0 && !json) yield tableHead
    yield json ? toJsonLine(toPrinted(info)) : tableRow(toPrinted(info))
    report(`${seen.count} sessions`)
  }
}

/** Names the prefixes with sessions, for an operator who has forgotten `--prefix` or the database. */
async function reportOtherPrefixes ({ stderr }: Terminal, { commands }: Sessions, { prefix }: ListOptions): Promise<void> {
  const counts = await countByPrefix(commands, prefix)
  const others = counts.size === 0 ? 'nor under any other' : `but under ${describePrefixes(counts)}`
  stderr.write(`${toPlainLine(`There are no sessions under the prefix ${JSON.stringify(prefix)}, ${others}.`)}\n`)
}

interface InfoOptions extends CommonOptions, AddressOptions {}

export const addInfoCommand: AddCommand = (program, terminal, exit) => {
  addCommonOptions(addAddressOptions(program.command('info')))
    .description('Prints the metadata of a session, without data and token, or the totals of all.')
    .action(async (token: string | undefined, options: InfoOptions, command: Command) => {
      const address = await readAddress(command, terminal, token, options)
      exit(await withSessions(command, terminal, options, (sessions) =>
        address === undefined ? writeTotals(sessions, terminal, options) : writeInfo(sessions, terminal, options, address)))
    })
}

async function writeInfo ({ users }: Sessions, terminal: Terminal, options: InfoOptions, address: SessionAddress): Promise<ExitCode> {
  const info = await users.info(address)
  if (info === undefined) return reportNotFound(terminal, address)
  await writeObject(terminal, toPrinted(info), options.json)
  return exitCodes.ok
}

async function writeTotals ({ users }: Sessions, terminal: Terminal, options: InfoOptions): Promise<ExitCode> {
  const totals = await withProgress(terminal, (report) => users.infoAll({ onProgress: ({ sessions }) => report(`${sessions} sessions`) }))
  await writeObject(terminal, totals, options.json)
  return reportDamaged(terminal, totals.damaged)
}
