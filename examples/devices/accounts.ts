import { randomBytes, randomUUID, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import createError from '@fastify/error'

export const NameTakenError = createError('ROOM_NAME_TAKEN', 'There is a reader called %s already.', 409)

export type Role = 'editor' | 'reader'

export interface Account {
  readonly id: string
  readonly name: string
  /** What a new session of this account may do. */
  role: Role
}

interface Secret {
  readonly salt: Buffer
  readonly hash: Buffer
}

const derive = promisify<string, Buffer, number, Buffer>(scrypt)

async function secretOf (password: string, salt: Buffer = randomBytes(16)): Promise<Secret> {
  return { salt, hash: await derive(password, salt, 32) }
}

/** The accounts, in memory: they end with the process. Of passwords there are hashes alone. */
export class Accounts {
  readonly #byId = new Map<string, Account>()
  readonly #byName = new Map<string, Account>()
  readonly #secrets = new Map<Account, Secret>()
  /** What a wrong name is compared with, so that it takes as long as a wrong password. */
  readonly #nobody = secretOf('')

  find (id: string): Account | undefined {
    return this.#byId.get(id)
  }

  /** @throws NameTakenError */
  async add (name: string, password: string): Promise<Account> {
    const secret = await secretOf(password)
    const key = name.toLowerCase()
    if (this.#byName.has(key)) throw new NameTakenError(name)
    const account: Account = { id: randomUUID(), name, role: 'editor' }
    this.#byId.set(account.id, account)
    this.#byName.set(key, account)
    this.#secrets.set(account, secret)
    return account
  }

  /** @returns `undefined` if the name or the password is wrong */
  async check (name: string, password: string): Promise<Account | undefined> {
    const account = this.#byName.get(name.toLowerCase())
    const { salt, hash } = (account && this.#secrets.get(account)) ?? await this.#nobody
    const isRight = timingSafeEqual((await secretOf(password, salt)).hash, hash)
    return isRight ? account : undefined
  }

  async setPassword (account: Account, password: string): Promise<void> {
    this.#secrets.set(account, await secretOf(password))
  }
}
