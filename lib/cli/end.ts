import type { Command } from 'commander'
import { withSessions } from './connection.js'
import {
  addAddressOptions, addCommonOptions, addConfirmOption, confirmed, readAddress, type AddCommand, type AddressOptions, type CommonOptions, type ConfirmOptions,
} from './options.js'
import { describeAddress, describeRedis, reportNotFound, toPlainLine, writeObject } from './output.js'
import { exitCodes } from './terminal.js'

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
