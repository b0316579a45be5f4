import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from './cache-folder.js'
import { findProgram, isExecutable } from './find-program.js'
import { MissingServer } from './missing-server.js'
import { OwnServer, type Server } from './own-server.js'

const FETCH = fileURLToPath(new URL('fetch-ravendb.sh', import.meta.url))
const HOW = 'run test/support/servers/fetch-ravendb.sh, or set RAVENDB_SERVER to its folder, or set RAVENDB_URL'
const HOW_DOTNET = 'set DOTNET_ROOT to a .NET 10 runtime, or have its dotnet on the PATH, or set RAVENDB_URL'

/**
 * A real RavenDB of one's own on a free loopback port: the server in the folder `RAVENDB_SERVER`, run by the `dotnet`
 * of `DOTNET_ROOT` or of the PATH, else both from where `fetch-ravendb.sh` puts them. `say` is told when it begins.
 */
export async function startRavenDB ({ say }: { say?: (text: string) => void } = {}): Promise<OwnServer> {
  const server = serverFolder()
  if (!isServer(server)) throw new MissingServer(`RavenDB (looked in ${server})`, HOW)
  const dotnet = findDotnet()
  say?.('Starting RavenDB')
  return OwnServer.start({
    name: 'RavenDB',
    file: dotnet,
    args: (port, folder) => [
      'exec', 'Raven.Server.dll', `--ServerUrl=http://127.0.0.1:${port}`, '--Setup.Mode=None',
      '--License.Eula.Accepted=true', `--DataDir=${folder}`, `--Logs.Path=${join(folder, 'logs')}`, '--non-interactive',
    ],
    url: (port) => `http://127.0.0.1:${port}`,
    ready: /^Server started/,
    startWithin: 60_000,
    cwd: server,
    // A short run is over before code that was measured to be optimised pays.
    env: { ...process.env, DOTNET_ROOT: dirname(dotnet), DOTNET_TieredPGO: '0' },
  })
}

/** The RavenDB that `RAVENDB_URL` names, else one of one's own. */
export async function openRavenDB (): Promise<Server> {
  const url = process.env['RAVENDB_URL']
  return url ? { url, stop: async () => {} } : startRavenDB()
}

/** Whether `fetchRavenDB()` gets all that is missing: the server, where no folder of one is named. */
export function canFetchRavenDB (): boolean {
  return !process.env['RAVENDB_SERVER'] && !isServer(serverFolder()) && dotnetPath() !== undefined
}

/** Gets the server into the cache folder, and tells on the standard error how far that is. */
export async function fetchRavenDB (): Promise<void> {
  const script = spawn(FETCH, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(script, 'close') as [number | null]
  if (code !== 0) throw new MissingServer('RavenDB', 'fetch-ravendb.sh failed, see above')
}

function serverFolder (): string {
  return process.env['RAVENDB_SERVER'] || cacheFolder('ravendb-7.2.7')
}

function isServer (folder: string): boolean {
  return existsSync(join(folder, 'Raven.Server.dll'))
}

function findDotnet (): string {
  const dotnet = dotnetPath()
  if (!dotnet) throw new MissingServer('dotnet, which RavenDB runs on,', HOW_DOTNET)
  // On the PATH it is often a link; the runtime lies beside what it points to.
  return realpathSync(dotnet)
}

function dotnetPath (): string | undefined {
  const root = process.env['DOTNET_ROOT']
  const candidates = [root && join(root, 'dotnet'), findProgram('dotnet'), join(cacheFolder('dotnet-10.0.12'), 'dotnet')]
  return candidates.find((path): path is string => Boolean(path && isExecutable(path)))
}
