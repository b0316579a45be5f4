import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = ['README.md', 'AGENTS.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'bench/README.md', 'examples/README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]

const docs = pages.filter((page) => page.startsWith('docs/') && page.endsWith('.md'))

const read = (page: string): string => readFileSync(join(root, page), 'utf8')

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf (page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading as string).toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').trim().replaceAll(' ', '-'))
}

t.test('each link between the pages leads to a file, and to a heading in it', async (t) => {
  const broken: string[] = []
  for (const page of pages) {
    for (const [, link = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(root, target))) broken.push(`${page}: ${link}`)
      else if (anchor !== undefined && !anchorsOf(target).includes(anchor)) broken.push(`${page}: ${link}`)
    }
  }
  t.strictSame(broken, [])
})

t.test('each page of docs/ is reached from the README', async (t) => {
  const linked = new Set([...read('README.md').matchAll(/\]\((docs\/[^)#\s]+)/g)].map(([, page]) => page))
  t.strictSame(pages.filter((page) => page.startsWith('docs/') && !linked.has(page)), [])
})

t.test('AGENTS.md names each page of docs/', async (t) => {
  const names = new Set(read('AGENTS.md').match(/[a-z0-9-]+/g))
  t.strictSame(docs.filter((page) => !names.has(basename(page, '.md'))), [])
})

t.test('a page of docs/ has 40 to 120 lines, and begins with the tasks of its readers', async (t) => {
  const unsized = docs.map((page) => ({ page, lines: read(page).trimEnd().split('\n').length })).filter(({ lines }) => lines < 40 || lines > 120)
  t.strictSame(unsized, [])
  t.strictSame(docs.filter((page) => !/^# .+\n\nI want to( know why)?\n\n- /.test(read(page))), [])
})
