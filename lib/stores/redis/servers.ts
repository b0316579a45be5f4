import { StoreUnsupportedError } from '../../errors.js'

/** A server, in the words of `INFO`. */
export interface ServerInfo {
  readonly name: 'Redis' | 'Valkey'
  readonly version: string
  /** True for a server that cannot run the scripts. */
  readonly isTooOld: boolean
  readonly isCluster: boolean
  /** Bytes; 0: no limit. */
  readonly maxMemory: number
  readonly policy: string
  /** True where the server drops keys when its memory is full: it has a limit, and a policy other than `noeviction`. */
  readonly evicts: boolean
}

/** The oldest version that can run the scripts: their first line, and checks of access, came with it. */
export const oldestServer = 7

/** Reads a reply to `INFO`. */
export function parseInfo (text: string): ServerInfo {
  const value = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? ''
  const name = value('server_name') === 'valkey' ? 'Valkey' : 'Redis'
  const version = (name === 'Valkey' && value('valkey_version')) || value('redis_version')
  const [policy, maxMemory] = [value('maxmemory_policy'), Number(value('maxmemory'))]
  return {
    name,
    version,
    isTooOld: Number.parseInt(version) < oldestServer,
    isCluster: value('cluster_enabled') === '1',
    maxMemory,
    policy,
    evicts: policy !== 'noeviction' && maxMemory > 0,
  }
}

/**
 * Refuses servers that the store cannot use.
 * @throws StoreUnsupportedError (`FST_SESSION_STORE_UNSUPPORTED`)
 */
export function refuseTooOld (servers: readonly ServerInfo[]): void {
  const { name, version } = servers.find(({ isTooOld }) => isTooOld) ?? {}
  if (version !== undefined) throw new StoreUnsupportedError(`the server is ${name} ${version}: the store needs Redis ${oldestServer}, or Valkey`)
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
