import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './cache-folder.js'
import { findProgram, isExecutable } from './find-program.js'
import { MissingServer } from './missing-server.js'
import { OwnServer, type Server } from './own-server.js'

export interface RedisOptions {
  /** More arguments for redis-server, e.g. `['--maxmemory', '1mb']`. */
  args?: readonly string[] | undefined
  /** Whether each write is on the disk before it is answered, so that it survives `kill`. @default false */
  persistent?: boolean | undefined
  /** The server's program. @default the redis-server of the PATH */
  program?: string | undefined
}

/** Servers of other versions than Debian's: the variable that names the program, and where `fetch-redis.sh` puts it in the cache folder. */
const otherVersions = {
  'Redis 6.2': ['REDIS_6_SERVER', 'redis-server-6.2'],
  'Redis 8': ['REDIS_8_SERVER', 'redis-8/redis-server'],
  'Valkey 9': ['VALKEY_9_SERVER', 'valkey-server-9.1'],
} as const

/** The program of a server of another version than Debian's. */
export function redisProgram (version: keyof typeof otherVersions): string {
  const [variable, name] = otherVersions[version]
  const program = process.env[variable] || cacheFolder(name)
  if (!isExecutable(program)) throw new MissingServer(version, `run test/support/servers/fetch-redis.sh, or set ${variable} to its program`)
  return program
}

/** A real redis-server of one's own on a free loopback port. */
export async function startRedis ({ args = [], persistent = false, program }: RedisOptions = {}): Promise<OwnServer> {
  const file = program ?? findProgram('redis-server')
  if (file === undefined) throw new MissingServer('redis-server', 'apt-get install redis-server, or set REDIS_URL')
  return OwnServer.start({
    name: 'redis-server',
    file,
    args: (port, folder) => [
      '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '',
      '--appendonly', persistent ? 'yes' : 'no', '--appendfsync', 'always', ...args,
    ],
    url: (port) => `redis://127.0.0.1:${port}`,
    ready: /Ready to accept connections/,
  })
}

/** A Redis Sentinel of one's own, that knows a master by a name. */
export async function startSentinel (name: string, masterPort: number): Promise<OwnServer> {
  const file = findProgram('redis-server')
  if (file === undefined) throw new MissingServer('redis-server', 'apt-get install redis-server')
  return OwnServer.start({
    name: 'redis-sentinel',
    file,
    args: (port, folder) => {
      const config = join(folder, 'sentinel.conf')
      writeFileSync(config, `port ${port}\nbind 127.0.0.1\ndir ${folder}\nsentinel monitor ${name} 127.0.0.1 ${masterPort} 1\n`)
      return [config, '--sentinel']
    },
    url: (port) => `redis://127.0.0.1:${port}`,
    ready: /\+monitor master/,
  })
}

/** The Redis that `REDIS_URL` names (it may hold other data: use a prefix of your own), else one of one's own. */
export async function openRedis (): Promise<Server> {
  const url = process.env['REDIS_URL']
  return url ? { url, stop: async () => {} } : startRedis()
}
