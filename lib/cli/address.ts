import type { Command } from 'commander'
import type { SessionAddress } from '../token/token-sessions.js'
import { tokenKinds } from '../token/tokens.js'
import { secretOption, type CommonOptions, type SecretOptions } from './options.js'
import { readToken } from './prompt.js'
import type { Surroundings } from './terminal.js'

/** What says which session is meant. */
export interface AddressOptions extends SecretOptions {
  readonly id?: string
  readonly name?: string
}

/** A token is never on the command line, where `ps` and the shell's history have it. */
export function addressOptions (command: Command): Command {
  return secretOption(command
    .argument('[token]', '- for a token from standard input')
    .option('--id <id>', 'the session that list says it of')
    .option('--name <name>', 'the shared session of this name; needs --secret-env'))
}

/** The session that is meant; `undefined` if none is named. */
export async function addressOf (
  command: Command, surroundings: Surroundings, token: string | undefined, { id, name, secretEnv, tokenKind }: AddressOptions & CommonOptions
): Promise<SessionAddress | undefined> {
  if ([token, id, name].filter((way) => way !== undefined).length > 1) command.error('error: name one session: by -, --id or --name')
  if (id !== undefined) {
    return /^[\w-]{43}$/.test(id) ? { id } : command.error('error: --id must be an id as list tells it: 43 characters')
  }
  if (name !== undefined) {
    return secretEnv === undefined ? command.error('error: --name needs --secret-env: the token of a shared session follows from the secret') : { name }
  }
  if (token === undefined) return undefined
  if (token !== '-') command.error('error: a token must not be on the command line, where others see it: write - and give it on standard input, or name an id with --id')
  const read = await readToken(surroundings)
  return tokenKinds[tokenKind].valid(read) ? { token: read } : command.error(`error: standard input has no token of the kind ${tokenKind}`)
}

/** A session as the user named it; a token is not shown. */
export function shown (address: SessionAddress): string {
  if (typeof address === 'object' && 'id' in address) return `the session ${address.id}`
  if (typeof address === 'object' && 'name' in address) return `the shared session ${JSON.stringify(address.name)}`
  return 'the session of this token'
}
