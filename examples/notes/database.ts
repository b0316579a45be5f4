import { CreateDatabaseOperation, DocumentStore } from 'ravendb'
import { MissingServer } from '../../test/support/servers/missing-server.js'
import type { OwnServer } from '../../test/support/servers/own-server.js'
import { startRavenDB } from '../../test/support/servers/ravendb.js'
import { progress } from '../shared/progress.js'
import { StartError } from '../shared/start-error.js'
import { offerRavenDB } from './offer.js'

const databaseName = 'fastify-request-session-notes'

/** An initialised store on a database that is there, and how to let go of both. */
export interface Database {
  readonly store: DocumentStore
  /** As the printed line says it. */
  readonly place: string
  close (): Promise<void>
}

/**
 * The RavenDB that `RAVENDB_URL` names (`http://host:8080`), where it makes a database of its own if that is not there
 * yet; else a real one started here, whose data end with it.
 *
 * @throws StartError if it does not answer, or cannot be started
 */
export async function openDatabase (url: string | undefined): Promise<Database> {
  if (url) {
    if (!URL.canParse(url) || new URL(url).protocol !== 'http:') {
      throw new StartError(`RAVENDB_URL must be like http://host:8080; got ${JSON.stringify(url)}.`)
    }
    const store = await connect(url)
    return { store, place: `RavenDB at ${url}`, async close () { store.dispose() } }
  }
  const server = await startServer().catch((error: unknown) => {
    if (!(error instanceof MissingServer)) throw error
    throw new StartError(`The notes live in RavenDB. ${error.message}.`, { cause: error })
  })
  const store = await connect(server.url)
  return {
    store,
    place: 'a RavenDB of its own',
    async close () {
      store.dispose()
      await server.stop()
    },
  }
}

/** @throws MissingServer if it is not on this machine, and not wanted there */
async function startServer (): Promise<OwnServer> {
  const { say, end } = progress()
  try {
    return await startRavenDB({ say })
  } catch (error) {
    if (!(error instanceof MissingServer) || !await offerRavenDB()) throw error
    return await startRavenDB({ say })
  } finally {
    end()
  }
}

async function connect (url: string): Promise<DocumentStore> {
  const store = new DocumentStore(url, databaseName)
  // Milliseconds. The client's default is to wait for ever.
  store.conventions.requestTimeout = 15_000
  store.initialize()
  try {
    await store.maintenance.server.send(new CreateDatabaseOperation({ databaseName }))
  } catch (error) {
    const { name, message } = error as Error
    if (name === 'ConcurrencyException') return store // it is there already
    store.dispose()
    throw new StartError(`No RavenDB answers at ${url}: ${message.split('\n')[0]}`, { cause: error })
  }
  return store
}
