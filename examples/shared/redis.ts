import { Redis } from 'ioredis'
import { StartError } from './start-error.js'

/**
 * A client that is connected; the caller closes it with `disconnect()`.
 * @throws StartError if the server does not answer
 */
export async function connectRedis (url: string): Promise<Redis> {
  const redis = new Redis(url, { lazyConnect: true })
  const failures: Error[] = []
  const note = (error: Error): void => { failures.push(error) }
  redis.on('error', note)
  try {
    await redis.connect()
  } catch (error) {
    redis.disconnect()
    throw new StartError(`No Redis answers at ${withoutPassword(url)}: ${String((failures[0] ?? error as Error).message)}`, { cause: error })
  }
  redis.off('error', note)
  return redis
}

/** What may be printed. */
export function withoutPassword (url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//')
}
