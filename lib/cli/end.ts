import type { Command } from 'commander'
import { addressOf, addressOptions, shown, type AddressOptions } from './address.js'
import { nothingFound } from './look.js'
import { commonOptions, type CommonOptions } from './options.js'
import { plain, writeObject } from './output.js'
import { Progress } from './progress.js'
import { confirmed, confirmOption, type ConfirmOptions } from './prompt.js'
import type { AddCommands } from './program.js'
import { placeOf, withSessions } from './sessions.js'
import { exitCodes } from './terminal.js'

interface EndOptions extends CommonOptions, AddressOptions, ConfirmOptions {}

interface EndAllOptions extends CommonOptions, ConfirmOptions {
  readonly subject?: string
}

/** The commands that end sessions: `end` and `end-all`. */
export const addEndCommands: AddCommands = (program, surroundings, done) => {
  commonOptions(confirmOption(addressOptions(program.command('end'))))
    .description('Ends a session: it is deleted, with its data.')
    .action(async (token: string | undefined, options: EndOptions, command: Command) => {
      const address = await addressOf(command, surroundings, token, options) ?? command.error('error: name a session: by -, --id or --name')
      const question = plain(`End ${shown(address)}, in ${placeOf(command, options)}?`)
      if (!await confirmed(command, surroundings, options, question)) return done(exitCodes.failed)
      done(await withSessions(command, surroundings, options, async ({ users }) => {
        if (!await users.end(address)) return nothingFound(surroundings, address)
        await writeObject(surroundings, { ended: 1 }, options.json)
        return exitCodes.ok
      }))
    })

  commonOptions(confirmOption(program.command('end-all')))
    .description('Ends all sessions, or all of somebody. One that begins meanwhile may stay.')
    .option('--subject <subject>', 'those that belong to somebody')
    .action(async (options: EndAllOptions, command: Command) => {
      const { subject } = options
      const which = subject === undefined ? 'ALL sessions' : `the sessions of ${JSON.stringify(subject)}`
      if (!await confirmed(command, surroundings, options, plain(`End ${which}, in ${placeOf(command, options)}?`))) return done(exitCodes.failed)
      done(await withSessions(command, surroundings, options, async ({ users }) => {
        const progress = new Progress(surroundings)
        try {
          const ended = await users.endAll({ ...subject !== undefined && { subject }, onProgress: (ended) => progress.tell(`${ended} ended`) })
          progress.end()
          await writeObject(surroundings, { ended }, options.json)
          return exitCodes.ok
        } finally {
          progress.end()
        }
      }))
    })
}
