import { StoreUnavailableError } from '../../errors.js'
import { callStore } from '../call-store.js'
import { endSession } from '../persistence.js'
import type { SessionSettings } from '../settings.js'
import { idOf } from '../tokens.js'
import { createSession } from './create.js'

/** Seconds after which a session that could not be ended expires. */
const ttl = 60

/**
 * Writes a session without data, reads it and ends it: the app's rules of data do not apply to it. A full store is only read: a write would evict a visitor's session.
 * @throws StoreUnavailableError (`FST_SESSION_STORE_UNAVAILABLE`), and other errors of the store
 */
export async function pingStore (settings: SessionSettings): Promise<void> {
  const { store, tokens } = settings
  if (store.full === true) {
    await callStore(() => store.load(idOf(tokens.create())))
    return
  }
  const { identity: { id } } = await createSession({ ...settings, deleteSession: true, data: undefined }, { ttl }, () => { throw new Error('a ping has no name') })
  const found = await callStore(() => store.load(id))
  if (!await endSession(store, id) || found === undefined) throw new StoreUnavailableError('the store does not find a session that it has just written')
}
