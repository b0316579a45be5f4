import type { Command } from 'commander'
import { lookUp } from '../token/manage/list.js'
import type { SessionAddress } from '../token/token-sessions.js'
import { withSessions, type Sessions } from './connection.js'
import { addAddressOptions, addCommonOptions, readAddress, type AddCommand, type AddressOptions, type CommonOptions } from './options.js'
import { reportDamaged, reportNotFound, toPrinted, writeObject } from './output.js'
import { exitCodes, withProgress, type ExitCode, type Terminal } from './terminal.js'

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

async function writeInfo ({ users, store }: Sessions, terminal: Terminal, options: InfoOptions, address: SessionAddress): Promise<ExitCode> {
  const info = await users.info(address)
  const summary = info && await lookUp(store, info.id)
  if (info === undefined || summary === undefined) return reportNotFound(terminal, address)
  // `ttl` and `maxAge` as stored: a session without them has the app's own, which are unknown here.
  await writeObject(terminal, { ...toPrinted(info), ttl: summary.ttl, maxAge: summary.maxAge }, options.json)
  return exitCodes.ok
}

async function writeTotals ({ users }: Sessions, terminal: Terminal, options: InfoOptions): Promise<ExitCode> {
  const totals = await withProgress(terminal, (report) => users.infoAll({ onProgress: ({ sessions }) => report(`${sessions} sessions`) }))
  await writeObject(terminal, totals, options.json)
  return reportDamaged(terminal, totals.damaged)
}
