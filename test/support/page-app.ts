import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** An application that pages show file by file, in a folder of its own. */
export interface PageApp {
  readonly folder: string
  readonly files: readonly string[]
}

/**
 * Makes the application of some pages: each code goes into the file that its paragraph names.
 * @param ending of the files, and the language of the codes
 * @param packages imported by the application: folders in the checkout, by name. The package itself is always there, as it was built
 */
export function pageApp (t: Test, pages: readonly string[], ending: 'js' | 'ts', packages: Readonly<Record<string, string>> = {}): PageApp {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }' })
  const text = pages.map((page) => readFileSync(join(root, page), 'utf8')).join('\n')
  const blocks = [...text.matchAll(new RegExp(`\`([^\`\\s]+\\.${ending})\`(?:(?!^\`\`\`)[^])*?^\`\`\`${ending}\\n([^]*?)^\`\`\`$`, 'gm'))]
  for (const [, path = '', code = ''] of blocks) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), code)
  }
  for (const [name, target] of Object.entries({ ...packages, 'fastify-request-session': '.' })) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, target), link, 'dir')
  }
  return { folder, files: blocks.map(([, path]) => path as string) }
}
