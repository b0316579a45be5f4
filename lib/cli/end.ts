import type { Command } from 'commander'
import { withSessions } from './connection.js'
import {
  addAddressOptions, addCommonOptions, addConfirmOption, confirmed, readAddress, type AddCommand, type AddressOptions, type CommonOptions, type ConfirmOptions,
} from './options.js'
import { describeAddress, describeRedis, reportNotFound, toPlainLine, writeObject } from './output.js'
import { exitCodes, withProgress } from './terminal.js'

interface EndOptions extends CommonOptions, AddressOptions, ConfirmOptions {}

export const addEndCommand: AddCommand = (program, terminal, exit) => {
  addCommonOptions(addConfirmOption(addAddressOptions(program.command('end'))))
    .description('Ends a session: it is deleted, with its data.')
    .action(async (token: string | undefined, options: EndOptions, command: Command) => {
      const address = await readAddress(command, terminal, token, options) ?? command.error('error: name a session: by -, --id or --name')
      const question = toPlainLine(`End ${describeAddress(address)}, in ${describeRedis(command, options)}?`)
      if (!await confirmed(command, terminal, options, question)) return exit(exitCodes.failed)
      exit(await withSessions(command, terminal, options, async ({ users }) => {
        if (!await users.end(address)) return reportNotFound(terminal, address)
        await writeObject(terminal, { ended: 1 }, options.json)
        return exitCodes.ok
      }))
    })
}

interface EndAllOptions extends CommonOptions, ConfirmOptions {
  readonly subject?: string
}

export const addEndAllCommand: AddCommand = (program, terminal, exit) => {
  addCommonOptions(addConfirmOption(program.command('end-all')))
    .description('Ends all sessions, or all of a subject. A session that begins meanwhile may stay.')
    .option('--subject <subject>', 'the sessions of this subject')
    .action(async (options: EndAllOptions, command: Command) => {
      const { subject } = options
      const which = subject === undefined ? 'ALL sessions' : `the sessions of ${JSON.stringify(subject)}`
      const question = toPlainLine(`End ${which}, in ${describeRedis(command, options)}?`)
      if (!await confirmed(command, terminal, options, question)) return exit(exitCodes.failed)
      exit(await withSessions(command, terminal, options, async ({ users }) => {
        const ended = await withProgress(terminal, (report) =>
          users.endAll({ ...subject !== undefined && { subject }, onProgress: (ended) => report(`${ended} ended`) }))
        await writeObject(terminal, { ended }, options.json)
        return exitCodes.ok
      }))
    })
}
