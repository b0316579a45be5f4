import type { Command } from 'commander'
import type { SessionFilter } from '../token/listing.js'
import { commonOptions, type CommonOptions } from './options.js'
import { json, printed, tableHead, tableRow, writeLines } from './output.js'
import { Progress } from './progress.js'
import type { AddCommands } from './run.js'
import { withSessions, type Sessions } from './sessions.js'
import { exitCodes, type Surroundings } from './surroundings.js'

interface ListOptions extends CommonOptions, SessionFilter {}

/** The commands that only look: `list`. */
export const addLookCommands: AddCommands = (program, surroundings, done) => {
  commonOptions(program.command('list'))
    .description('Tells what the sessions are, one a line: never their data or tokens.')
    .option('--subject <subject>', 'those that belong to somebody')
    .option('--name <name>', 'those of a name, shared or not')
    .action(async (options: ListOptions, command: Command) => {
      done(await withSessions(command, surroundings, options, async (sessions) => {
        await writeLines(surroundings, list(sessions, surroundings, options))
        return exitCodes.ok
      }))
    })
}

async function * list ({ users }: Sessions, surroundings: Surroundings, { subject, name, json: asJson }: ListOptions): AsyncGenerator<string, undefined> {
  const progress = new Progress(surroundings, surroundings.stdout.isTTY !== true)
  const filter = { ...subject !== undefined && { subject }, ...name !== undefined && { name } }
  let count = 0
  try {
    if (!asJson) yield tableHead
    for await (const info of users.list(filter)) {
      const session = printed(info)
      yield asJson ? json(session) : tableRow(session)
      progress.tell(`${++count} sessions`)
    }
  } finally {
    progress.end()
  }
}
