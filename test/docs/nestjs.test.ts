import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { pageApp } from '../support/page-app.js'
import { MissingServer } from '../support/servers/missing-server.js'
import { lacks } from '../support/servers/require.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const nest = 'test/versions/node_modules/@nestjs'

const compilerOptions = {
  module: 'nodenext',
  target: 'es2023',
  strict: true,
  exactOptionalPropertyTypes: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  skipLibCheck: true,
  types: ['node'],
  rootDir: '.',
  outDir: 'out',
}

async function run (folder: string, command: string, args: string[]): Promise<{ code: number | null, output: string }> {
  const child = spawn(command, args, { cwd: folder, env: { PATH: process.env['PATH'] ?? '' }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  const [code] = await once(child, 'close') as [number | null]
  return { code, output }
}

t.test('the application of the pages compiles, and passes its tests', async (t) => {
  if (!existsSync(join(root, nest))) {
    lacks(t, new MissingServer(nest, 'npm ci --prefix test/versions'))
    return
  }
  const own = Object.fromEntries(['common', 'core', 'platform-fastify', 'platform-ws', 'websockets'].map((name) => [`@nestjs/${name}`, `${nest}/${name}`]))
  const others = Object.fromEntries(['fastify', 'ws', '@types/node', '@types/ws'].map((name) => [name, `node_modules/${name}`]))
  const { folder, files } = pageApp(t, ['docs/nestjs.md', 'docs/nestjs-guards.md', 'docs/nestjs-gateway.md'], 'ts', { ...own, ...others })
  t.equal(files.length, 8)
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src', 'test'] }))
  const compiled = await run(folder, process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'])
  t.equal(compiled.code, 0, compiled.output)
  const { code, output } = await run(folder, process.execPath, ['--test', 'out/test/users.test.js'])
  t.equal(code, 0, output)
  t.match(output, /^# pass 2$/m)
})
