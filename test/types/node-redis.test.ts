import { expectTypeOf } from 'expect-type'
import { createClient, createCluster, createSentinel, type RedisClientType, type RedisSentinelType } from 'redis'
import t from 'tap'
import { redisStore, type SessionStore } from '../../lib/index.js'

/** Code that is checked by the compiler and never runs. */
const compiles = (_code: () => void): void => {}

t.test('node-redis clients are taken as they are', async (t) => {
  compiles(() => {
    expectTypeOf(redisStore(createClient())).toExtend<SessionStore>()
    redisStore(createClient({ RESP: 2 }), { prefix: 'a:', timeout: 5 })
    redisStore(createClient({ RESP: 3, commandOptions: { timeout: 10 } }))
    redisStore(createCluster({ rootNodes: [] }))
    redisStore(createCluster({ rootNodes: [], RESP: 2, useReplicas: true }))
    redisStore(createSentinel({ name: 'mine', sentinelRootNodes: [] }))
    redisStore(createSentinel({ name: 'mine', sentinelRootNodes: [], RESP: 2, replicaPoolSize: 1, masterPoolSize: 2 }))
    redisStore({} as RedisClientType)
    redisStore({} as RedisSentinelType)
  })
  t.pass('compiles')
})
