import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { MissingServer } from '../support/servers/missing-server.js'
import { lacks } from '../support/servers/require.js'

/** Files of tests; of some only the parts whose names match. */
type Files = Array<string | [file: string, only: string]>

// The highest version of each is the one that all other tests run on.
// Fastify 5.3 does not have `handlerTimeout` yet.
const replacements: Array<{ name: string, replacement: string, node?: string, files: Files }> = [
  {
    name: 'fastify',
    replacement: 'fastify-lowest',
    files: [
      ['lifecycle/tokens', '^(?!.*handlerTimeout)'], 'lifecycle/early-errors', 'lifecycle/stream-replies', 'lifecycle/failed-commit', 'lifecycle/registrations',
      'lifecycle/http2', 'lifecycle/late-access',
    ],
  },
  {
    name: 'fastify',
    replacement: 'fastify-next',
    node: 'node-24',
    files: [
      'lifecycle/tokens', 'lifecycle/without-await', 'lifecycle/early-errors', 'lifecycle/stream-replies', 'lifecycle/failed-commit', 'lifecycle/registrations',
      'lifecycle/http2', 'lifecycle/late-access', 'lifecycle/after-commit', 'token/required', 'get-session', 'health', 'plugins/login',
    ],
  },
  {
    name: 'ioredis',
    replacement: 'ioredis-lowest',
    files: [
      'stores/redis/transformers', 'stores/cached/redis', 'stores/cached/cluster', 'stores/redis/conformance-cluster', 'stores/redis/clients',
      'stores/redis/lost-replies', 'stores/redis/failures', 'stores/redis/reconnects', 'stores/redis/change-feed', 'stores/redis/moving-slots', 'stores/redis/access', 'cli/commands',
    ],
  },
  {
    name: 'ioredis',
    replacement: 'iovalkey',
    files: ['stores/redis/transformers', 'stores/cached/conformance', 'stores/cached/redis', 'stores/redis/conformance-cluster', 'stores/redis/clients'],
  },
  {
    name: 'redis',
    replacement: 'redis-lowest',
    files: ['stores/redis/conformance-sentinel', 'stores/redis/lost-replies', 'stores/redis/change-feed'],
  },
  {
    name: 'neo4j-driver',
    replacement: 'neo4j-driver-lowest',
    files: [['neo4j/on-server', '^(?!mix)']],
  },
  {
    name: 'ravendb',
    replacement: 'ravendb-lowest',
    files: ['ravendb/conflicts', 'ravendb/options', 'ravendb/outcomes', 'ravendb/lifecycle'],
  },
]

// Milliseconds. The tests take many times as long on a busy machine.
t.setTimeout(1_500_000)

/** Other versions of Node.js. */
const runtimes: Array<{ node: string, files: Files }> = ['node-22', 'node-24'].map((node) => ({
  node,
  files: ['lifecycle/tokens', 'lifecycle/late-access', 'token/draft', 'token/model', 'stores/memory/conformance', 'stores/redis/conformance', 'ravendb/options', 'package/one-copy'],
}))

for (const { name, replacement, node, files } of replacements) {
  t.test(`${name} as ${titleOf(replacement)}${node === undefined ? '' : ` on ${titleOf(node)}`}`, async (t) => {
    await runFiles(t, files, { node, replace: { name, replacement } })
  })
}

for (const { node, files } of runtimes) t.test(titleOf(node), (t) => runFiles(t, files, { node }))

/** Runs tests in processes of their own, or skips them where something is not installed. */
async function runFiles (
  t: Test, files: Files, { node, replace }: { node?: string | undefined, replace?: { name: string, replacement: string } }
): Promise<void> {
  const missing = [node, replace?.replacement].filter((name) => name !== undefined).find((name) => versionOf(name) === undefined)
  if (missing !== undefined) return lacks(t, new MissingServer(`${missing} of test/versions`, 'npm ci --prefix test/versions'))
  const program = node === undefined ? process.execPath : fileURLToPath(new URL(`node_modules/${node}/bin/node`, import.meta.url))
  const loader = replace === undefined ? [] : ['--import', './test/versions/replace/register.js']
  for (const given of files) {
    const [file, only = ''] = typeof given === 'string' ? [given] : given
    await t.spawn(program, [...loader, '--import', 'tsx', `test/${file}.test.ts`], {
      cwd: fileURLToPath(new URL('../../', import.meta.url)),
      env: { ...process.env, LONG: '', ONLY: only, ...replace === undefined ? {} : { REPLACE: `${replace.name}=${replace.replacement}` } },
      timeout: 300_000,
    }, file)
  }
}

function versionOf (name: string): string | undefined {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version : undefined
}

function titleOf (name: string): string {
  return `${name} ${versionOf(name) ?? ''}`.trim()
}
