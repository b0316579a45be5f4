import type { Command } from 'commander'
import type { SessionFilter } from '../token/manage/list.js'
import type { SessionAddress } from '../token/token-sessions.js'
import { withSessions, type Sessions } from './connection.js'
import { addAddressOptions, addCommonOptions, readAddress, type AddCommand, type AddressOptions, type CommonOptions } from './options.js'
import { reportDamaged, reportNotFound, tableHead, tableRow, toJsonLine, toPrinted, writeLines, writeObject } from './output.js'
import { exitCodes, withProgress, type ExitCode, type Terminal } from './terminal.js'

interface ListOptions extends CommonOptions, SessionFilter {}

export const addListCommand: AddCommand = (program, terminal, exit) => {
  addCommonOptions(program.command('list'))
    .description('Tells what the sessions are, one a line: never their data or tokens.')
    .option('--subject <subject>', 'those that belong to somebody')
    .option('--name <name>', 'those of a name, shared or not')
    .action(async (options: ListOptions, command: Command) => {
      exit(await withSessions(command, terminal, options, async (sessions) => {
        const damaged: string[] = []
        await withProgress(terminal, (report) => writeLines(terminal, formatLines(sessions, options, damaged, report)),
          { visible: terminal.stdout.isTTY !== true })
        return reportDamaged(terminal, damaged.length, damaged)
      }))
    })
}

/** Formats a line for each session, and collects the ids of damaged ones in `damaged`. */
async function * formatLines (
  { users }: Sessions, { subject, name, json }: ListOptions, damaged: string[], report: (text: string) => void
): AsyncGenerator<string, undefined> {
  const filter = { ...subject !== undefined && { subject }, ...name !== undefined && { name } }
  let count = 0
  for await (const info of users.list({ ...filter, onDamaged: (id) => { damaged.push(id) } })) {
    if (count++ === 0 && !json) yield tableHead
    yield json ? toJsonLine(toPrinted(info)) : tableRow(toPrinted(info))
    report(`${count} sessions`)
  }
}

interface InfoOptions extends CommonOptions, AddressOptions {}

export const addInfoCommand: AddCommand = (program, terminal, exit) => {
  addCommonOptions(addAddressOptions(program.command('info')))
    .description('Tells what a session is, never its data or token; without one, the totals of all.')
    .action(async (token: string | undefined, options: InfoOptions, command: Command) => {
      const address = await readAddress(command, terminal, token, options)
      exit(await withSessions(command, terminal, options, (sessions) =>
        address === undefined ? writeTotals(sessions, terminal, options) : writeInfo(sessions, terminal, options, address)))
    })
}

async function writeInfo ({ users }: Sessions, terminal: Terminal, options: InfoOptions, address: SessionAddress): Promise<ExitCode> {
  const info = await users.info(address)
  if (info === undefined) return reportNotFound(terminal, address)
  await writeObject(terminal, { ...toPrinted(info), ttl: info.ttl, maxAge: info.maxAge }, options.json)
  return exitCodes.ok
}

async function writeTotals ({ users }: Sessions, terminal: Terminal, options: InfoOptions): Promise<ExitCode> {
  const totals = await withProgress(terminal, (report) => users.infoAll({ onProgress: ({ sessions }) => report(`${sessions} sessions`) }))
  await writeObject(terminal, totals, options.json)
  return reportDamaged(terminal, totals.damaged)
}
