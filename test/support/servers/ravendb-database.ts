import { randomBytes } from 'node:crypto'
import { CreateDatabaseOperation, DeleteDatabasesOperation, DocumentStore } from 'ravendb'

/** A database of one's own on a RavenDB server. */
export interface RavenDatabase {
  readonly name: string
  /** An initialised store whose default database this is. */
  readonly store: DocumentStore
  /** Deletes the database and disposes the store. */
  drop (): Promise<void>
}

/**
 * Makes a database with a fresh name.
 * @param configure sets the store's conventions, which are fixed from then on
 */
export async function createRavenDatabase (
  url: string, configure?: (store: DocumentStore) => void
): Promise<RavenDatabase> {
  const name = `test-${randomBytes(6).toString('hex')}`
  const store = new DocumentStore(url, name)
  configure?.(store)
  store.initialize()
  await store.maintenance.server.send(new CreateDatabaseOperation({ databaseName: name }))
  return {
    name,
    store,
    async drop () {
      try {
        await store.maintenance.server.send(new DeleteDatabasesOperation({ databaseNames: [name], hardDelete: true }))
      } finally {
        store.dispose()
      }
    },
  }
}
