import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { MissingServer } from '../support/servers/missing-server.js'
import { lacks } from '../support/servers/require.js'

/** Files of tests; of some only the parts whose names match. */
type Files = Array<string | [file: string, only: string]>

// The highest version of each is the one that all other tests run on.
// Fastify 5.3 does not have `handlerTimeout` yet.
const replacements: Array<{ name: string, replacement: string, files: Files, long: Files }> = [
  {
    name: 'fastify',
    replacement: 'fastify-lowest',
    files: [['lifecycle/tokens', '^(?!.*handlerTimeout).*(imeout|throws|stream|status)'], 'lifecycle/early-errors'],
    long: [['lifecycle/tokens', '^(?!.*handlerTimeout)'], 'lifecycle/stream-replies', 'lifecycle/failed-commit', 'lifecycle/registrations', 'lifecycle/http2', 'lifecycle/late-access'],
  },
  {
    name: 'ioredis',
    replacement: 'ioredis-lowest',
    files: ['stores/redis/conformance', 'stores/redis/transformers', 'stores/cached/conformance'],
    long: [
      'stores/cached/redis', 'stores/cached/cluster', 'stores/redis/conformance-cluster', 'stores/redis/clients', 'stores/redis/lost-replies', 'stores/redis/failures', 'stores/redis/reconnects',
      'stores/redis/change-feed', 'stores/redis/moving-slots', 'stores/redis/access', 'cli/commands',
    ],
  },
  {
    name: 'ioredis',
    replacement: 'iovalkey',
    files: ['stores/redis/conformance', 'stores/redis/transformers'],
    long: ['stores/cached/conformance', 'stores/cached/redis', 'stores/redis/conformance-cluster', 'stores/redis/clients'],
  },
  {
    name: 'neo4j-driver',
    replacement: 'neo4j-driver-lowest',
    files: [['neo4j/on-server', '^(transactions|parallel|calls|errors|notAwaited|bookmarks)$']],
    long: [['neo4j/on-server', '^(?!mix)']],
  },
  {
    name: 'ravendb',
    replacement: 'ravendb-lowest',
    files: ['ravendb/conflicts', 'ravendb/options'],
    long: ['ravendb/outcomes', 'ravendb/lifecycle'],
  },
]

// Milliseconds. The tests take many times as long on a busy machine.
t.setTimeout(1_500_000)

for (const { name, replacement, files, long } of replacements) {
  const folder = new URL(`node_modules/${replacement}/`, import.meta.url)
  const { version } = existsSync(folder) ? JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as { version: string } : { version: undefined }
  t.test(`${name} as ${replacement} ${version ?? ''}`, async (t) => {
    if (version === undefined) return lacks(t, new MissingServer(`${replacement} of test/versions`, 'npm ci --prefix test/versions'))
    for (const given of process.env['LONG'] === '1' ? long : files) {
      const [file, only = ''] = typeof given === 'string' ? [given] : given
      await t.spawn(process.execPath, ['--import', './test/versions/replace/register.js', '--import', 'tsx', `test/${file}.test.ts`], {
        cwd: fileURLToPath(new URL('../../', import.meta.url)),
        env: { ...process.env, LONG: '', REPLACE: `${name}=${replacement}`, ONLY: only },
        timeout: 300_000,
      }, file)
    }
  })
}
