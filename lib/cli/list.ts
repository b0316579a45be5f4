import type { Command } from 'commander'
import type { SessionFilter } from '../token/manage/list.js'
import { withSessions, type Sessions } from './connection.js'
import { addCommonOptions, type AddCommand, type CommonOptions } from './options.js'
import { reportDamaged, tableHead, tableRow, toJsonLine, toPrinted, writeLines } from './output.js'
import { withProgress } from './terminal.js'

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
