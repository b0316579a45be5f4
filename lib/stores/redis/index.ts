// Entry point of the package for token sessions in Redis: fastify-request-session/redis. The main entry point exports the same.
export { redisStore } from './redis-store.js'
export type { RedisClient, RedisStoreOptions } from './options.js'
