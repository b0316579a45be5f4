import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { MissingServer } from './servers/missing-server.js'
import { lacks } from './servers/require.js'

export const run = promisify(execFile)
export const root = fileURLToPath(new URL('../../', import.meta.url))

/** The package as npm publishes it. */
export interface Packed {
  readonly tarball: string
  /** Bytes of its files. */
  readonly unpackedSize: number
  readonly files: readonly string[]
}

/** Builds and packs the package in a folder of its own: `dist/` belongs to the tests that run at the same time. */
export async function pack (t: Test): Promise<Packed> {
  const folder = await temporaryFolder(t)
  for (const name of ['package.json', 'README.md', 'LICENSE', 'AGENTS.md']) await cp(join(root, name), join(folder, name))
  await run(process.execPath, [join(root, '.ci/build.js'), join(folder, 'dist')])
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json'], { cwd: folder })
  const [{ filename, unpackedSize, files }] = JSON.parse(stdout) as [{ filename: string, unpackedSize: number, files: Array<{ path: string }> }]
  return { tarball: join(folder, filename), unpackedSize, files: files.map(({ path }) => path) }
}

/** Makes a project with the packed package, fastify, and what npm would install with them: none of the optional peers. */
export async function project (t: Test, { tarball }: Packed, type: 'commonjs' | 'module', sources: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder(t)
  const installed = join(folder, 'node_modules', 'fastify-request-session')
  await mkdir(installed, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
  const { dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  for (const name of ['fastify', '@types/node', ...Object.keys(dependencies)]) {
    const to = join(folder, 'node_modules', name)
    await mkdir(dirname(to), { recursive: true })
    await symlink(join(root, 'node_modules', name), to)
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type }))
  for (const [name, source] of Object.entries(sources)) await writeFile(join(folder, name), source)
  return folder
}

/** Path of something that may be installed in this checkout, or a skip. */
export function installed (t: Test, path: string): string | undefined {
  if (existsSync(join(root, path))) return join(root, path)
  lacks(t, new MissingServer(path, 'npm ci --prefix test/versions'))
  return undefined
}

async function temporaryFolder (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fastify-request-session-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
