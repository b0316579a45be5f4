import { expectTypeOf } from 'expect-type'
import type { DocumentStore, IDocumentSession, IDocumentStore } from 'ravendb'
import t from 'tap'
import { ravenSessions, type RavenCallOptions, type RavenProvider, type RavenSessionOptions, type SessionOf } from '../../lib/index.js'

/** Only the compiler looks at it. */
function compiles (_use: () => unknown): void {}

t.test('session and options are those of the client that the store is of', async (t) => {
  compiles((store = {} as DocumentStore) => {
    const documents = ravenSessions(store, (request) => ({ database: request.hostname, noTracking: true }))
    expectTypeOf(documents).toEqualTypeOf<RavenProvider<DocumentStore>>()
    expectTypeOf<SessionOf<typeof documents>>().toEqualTypeOf<IDocumentSession>()
    ravenSessions({} as IDocumentStore, 'shop')
    // @ts-expect-error a misspelt option
    ravenSessions(store, { databse: 'shop' })
    // @ts-expect-error a wrong value
    ravenSessions(store, { transactionMode: 'clusterwide' })
    // @ts-expect-error no store
    ravenSessions({})
  })
  expectTypeOf<{ noTracking: true, commitTimeout: 5 }>().toExtend<RavenSessionOptions<DocumentStore>>()
  expectTypeOf<{ noTracking: 1 }>().not.toExtend<RavenSessionOptions<DocumentStore>>()
  expectTypeOf<'shop'>().toExtend<RavenCallOptions<DocumentStore>>()
  t.pass('compiles')
})
