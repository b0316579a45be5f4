import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cacheFolder } from './cache-folder.js'
import { findProgram, isExecutable } from './find-program.js'
import { MissingServer } from './missing-server.js'
import { OwnServer, type Server } from './own-server.js'

const run = promisify(execFile)
const SOURCE = fileURLToPath(new URL('neo4j/Neo4jServer.java', import.meta.url))
const FETCH = fileURLToPath(new URL('fetch-neo4j.sh', import.meta.url))
const HOW = 'apt-get install openjdk-17-jre-headless maven, or set NEO4J_URL'
const OPENED = ['java.nio', 'java.lang', 'sun.nio.ch', 'java.util.concurrent']
// Each start is short: what the optimising compiler gains is less than it costs.
const QUICK = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']

export interface Neo4jOptions {
  /** @default NEO4J_VERSION of the environment, else '5.26.12' (the LTS release); '2026.…' needs Java 25 */
  version?: string | undefined
  /** The `java` to run it with. @default the first one of JAVA_HOME, the PATH and /usr/lib/jvm that fits the version */
  java?: string | undefined
  /** Told what begins: both may take their time. */
  say?: ((text: string) => void) | undefined
}

/** A real Neo4j of one's own on a free loopback port, without authentication; gets its jars at the first use. */
export async function startNeo4j (options: Neo4jOptions = {}): Promise<OwnServer> {
  const version = options.version ?? (process.env['NEO4J_VERSION'] || '5.26.12')
  const java = options.java ?? await findJava(version)
  const jars = await fetchJars(version, options.say)
  options.say?.(`Starting Neo4j ${version}`)
  return OwnServer.start({
    name: `Neo4j ${version}`,
    file: java,
    args: (port, folder) => [
      '-Xmx512m', ...QUICK, ...OPENED.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
      '-cp', join(jars, '*'), SOURCE, String(port), folder,
    ],
    url: (port) => `bolt://127.0.0.1:${port}`,
    ready: /^READY /,
    startWithin: 240_000,
  })
}

/**
 * The Neo4j that `NEO4J_URL` names, or the one that all tests share (they may hold other data: use labels of your own), else one of
 * one's own.
 * @param options `alone`: not the shared one, for a test that counts what the server does
 */
export async function openNeo4j ({ alone = false, ...options }: Neo4jOptions & { alone?: boolean } = {}): Promise<Server> {
  const url = process.env['NEO4J_URL'] || (!alone && process.env['SHARED_NEO4J_URL'])
  return url ? { url, stop: async () => {} } : startNeo4j(options)
}

async function fetchJars (version: string, say: Neo4jOptions['say']): Promise<string> {
  const jars = cacheFolder(`neo4j-${version}`)
  if (existsSync(jars)) return jars
  if (findProgram('mvn') === undefined) throw new MissingServer('Maven, to get the Neo4j server', HOW)
  say?.(`Getting Neo4j ${version} with Maven (135 MB, once)`)
  try {
    await run(FETCH, [version])
  } catch (error) {
    const { stderr } = error as { stderr?: string }
    throw new MissingServer(`Neo4j ${version}`, `fetch-neo4j.sh failed: ${stderr?.trim() || String(error)}`)
  }
  return jars
}

async function findJava (version: string): Promise<string> {
  const [least, most] = version.startsWith('5.') ? [17, 21] : [25, Infinity]
  const installed = existsSync('/usr/lib/jvm') ? readdirSync('/usr/lib/jvm') : []
  const candidates = [
    process.env['JAVA_HOME'] && join(process.env['JAVA_HOME'], 'bin/java'),
    findProgram('java'),
    ...installed.map((name) => join('/usr/lib/jvm', name, 'bin/java')),
  ]
  for (const java of new Set(candidates)) {
    if (!java || !isExecutable(java)) continue
    const { stderr } = await run(java, ['-version']).catch(() => ({ stderr: '' }))
    const major = Number(/version "(\d+)/.exec(stderr)?.[1])
    if (major >= least && major <= most) return java
  }
  throw new MissingServer(`Java ${least} for Neo4j ${version}`, HOW)
}
