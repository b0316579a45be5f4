import { StoreUnsupportedError } from '../../errors.js'

/** A server, in the words of `INFO`. */
export interface ServerInfo {
  readonly name: 'Redis' | 'Valkey'
  readonly version: string
  readonly isCluster: boolean
  readonly policy: string
  /** True where the server drops keys when its memory is full: it has a limit, and a policy other than `noeviction`. */
  readonly evicts: boolean
}

/** The scripts use what came with it: their first line, and checks of access. */
const oldestRedis = 7

/**
 * Reads a reply to `INFO`.
 * @throws StoreUnsupportedError (`FST_SESSION_STORE_UNSUPPORTED`) for a server that cannot run the scripts
 */
export function parseInfo (text: string): ServerInfo {
  const value = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? ''
  const name = value('server_name') === 'valkey' ? 'Valkey' : 'Redis'
  const version = (name === 'Valkey' && value('valkey_version')) || value('redis_version')
  if (version !== '' && Number.parseInt(version, 10) < oldestRedis) {
    throw new StoreUnsupportedError(`the server is ${name} ${version}: the store needs Redis ${oldestRedis}, or Valkey`)
  }
  const policy = value('maxmemory_policy')
  return { name, version, isCluster: value('cluster_enabled') === '1', policy, evicts: policy !== 'noeviction' && value('maxmemory') !== '0' }
}

/** One line about the servers, for the log. */
export function describeServers (servers: readonly ServerInfo[]): string {
  const list = (key: 'version' | 'policy'): string => [...new Set(servers.map((server) => server[key]))].join(', ')
  const { name, isCluster } = servers[0] as ServerInfo
  return `sessions are kept in ${name} ${list('version')}${isCluster ? `, a cluster of ${servers.length} masters` : ''}, maxmemory-policy ${list('policy')}`
}

/** Returns the hash slot of a key in a cluster: a CRC-16/XMODEM of the text between its first braces, else of the key. */
export function hashSlotOf (key: string): number {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  let crc = 0
  for (const byte of Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  }
  return (crc & 0xffff) % 16_384
}
