import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './find-program.js'
import { MissingServer } from './missing-server.js'
import { OwnServer } from './own-server.js'
import { startRedis } from './redis.js'

/** A master, a replica and a Sentinel that makes the one the other when it is gone for a second. */
export interface RedisSentinel {
  readonly master: OwnServer
  readonly replica: OwnServer
  /** What ioredis' `new Redis({ sentinels, name })` takes. */
  readonly sentinels: Array<{ host: string, port: number }>
  readonly name: string
  stop (): Promise<void>
}

export async function startRedisSentinel (): Promise<RedisSentinel> {
  const file = findProgram('redis-server')
  if (file === undefined) throw new MissingServer('redis-server', 'apt-get install redis-server')
  const servers: OwnServer[] = []
  const stop = async (): Promise<void> => { await Promise.all(servers.map((server) => server.stop())) }
  const name = 'sessions'
  try {
    const master = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
    servers.push(master)
    const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
    servers.push(replica)
    const sentinel = await OwnServer.start({
      name: 'sentinel',
      file,
      args: (port, folder) => {
        const config = join(folder, 'sentinel.conf')
        writeFileSync(config, [
          `port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`,
          `sentinel down-after-milliseconds ${name} 1000`, `sentinel failover-timeout ${name} 5000`,
        ].join('\n'))
        return [config, '--sentinel']
      },
      url: (port) => `redis://127.0.0.1:${port}`,
      ready: /\+monitor master/,
    })
    servers.push(sentinel)
    return { master, replica, sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
