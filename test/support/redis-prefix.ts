import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Test } from 'tap'

/** A prefix for the keys of one test. After the test its keys are deleted, and the client is closed. */
export function redisPrefix (t: Test, client: Redis): string {
  const prefix = `${randomUUID()}:`
  t.teardown(async () => {
    const keys = await client.keys(`${prefix}*`)
    if (keys.length > 0) await client.unlink(...keys)
    await client.quit()
  })
  return prefix
}
