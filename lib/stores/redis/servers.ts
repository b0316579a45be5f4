import { StoreUnsupportedError } from '../../errors.js'

/** A server as described by `INFO`. `undefined`: missing or unreadable. */
export interface ServerInfo {
  readonly name: 'Redis' | 'Valkey'
  readonly version: string | undefined
  /** True for a server that cannot run the scripts. */
  readonly isTooOld: boolean
  readonly isCluster: boolean
  /** Bytes; 0: no limit. */
  readonly maxMemory: number | undefined
  readonly policy: string | undefined
  /** True if the server drops keys when its memory is full: it has a limit, and a policy other than `noeviction`. */
  readonly evicts: boolean | undefined
}

/** The oldest version that can run the scripts: it introduced their first line and the checks of access. */
export const oldestServer = 7

/** Reads a reply to `INFO`. */
export function parseInfo (text: string): ServerInfo {
  const value = (name: string, pattern: RegExp): string | undefined => {
    const found = new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? ''
    return pattern.test(found) ? found : undefined
  }
  const version = (name: string): string | undefined => value(name, /^\d/)
  const name = value('server_name', /^valkey$/) === undefined ? 'Redis' : 'Valkey'
  const policy = value('maxmemory_policy', /./)
  const maxMemory = value('maxmemory', /^\d+$/)
  const told = (name === 'Valkey' ? version('valkey_version') : undefined) ?? version('redis_version')
  return {
    name,
    version: told,
    isTooOld: told !== undefined && Number.parseInt(told) < oldestServer,
    isCluster: value('cluster_enabled', /^1$/) !== undefined,
    maxMemory: maxMemory === undefined ? undefined : Number(maxMemory),
    policy,
    evicts: policy === 'noeviction' || maxMemory === '0' ? false : policy === undefined || maxMemory === undefined ? undefined : true,
  }
}

/**
 * Refuses servers that the store cannot use.
 * @throws StoreUnsupportedError (`FST_SESSION_STORE_UNSUPPORTED`)
 */
export function refuseTooOld (servers: readonly ServerInfo[]): void {
  const old = servers.find(({ isTooOld }) => isTooOld)
  if (old !== undefined) throw new StoreUnsupportedError(`the server is ${old.name} ${old.version}: the store needs Redis ${oldestServer}, or Valkey`)
}

/** One line about the servers, for the log. */
export function describeServers (servers: readonly ServerInfo[]): string {
  const list = (key: 'version' | 'policy'): string => [...new Set(servers.map((server) => server[key] ?? 'unknown'))].join(', ')
  const { name, isCluster } = servers[0] as ServerInfo
  return `sessions are kept in ${name} ${list('version')}${isCluster ? `, a cluster of ${servers.length} masters` : ''}, maxmemory-policy ${list('policy')}`
}

/** A warning for the log about missing facts of the servers; `undefined`: none. */
export function describeUntold (servers: readonly ServerInfo[]): string | undefined {
  const untold = [
    ...servers.some(({ version }) => version === undefined) ? [`its version: the store needs Redis ${oldestServer} or newer, or Valkey`] : [],
    ...servers.some(({ evicts }) => evicts === undefined) ? ['whether it evicts keys: the maxmemory-policy should be noeviction'] : [],
  ]
  return untold.length === 0 ? undefined : `the server of the session store does not tell ${untold.join('; nor ')}`
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
